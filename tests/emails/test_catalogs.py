"""Every language says everything that the templates say."""

import re
from pathlib import Path

import pytest
from babel.messages import frontend
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from tests.emails.samples import LANGUAGES, MAILS

FOLDER = Path(__file__).parent.parent.parent / "emails"
PAGES = FOLDER.parent / "api"
CATALOGS = sorted((FOLDER / "translations").glob("*.po"))
PAGE_CATALOGS = sorted((PAGES / "translations").glob("*.po"))
TEMPLATES = sorted(path for end in ("txt", "html") for path in FOLDER.glob(f"*/*.{end}"))
PAGE_TEMPLATES = sorted(
    set((PAGES / "templates").glob("*.html")) - {PAGES / "templates/evidence.html"}
)
"""Those that customers see: the evidence of a delivery is for banks."""
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@pytest.fixture(scope="module")
def sources() -> dict[Path, set[str]]:
    """All texts of the templates of mails and of pages."""
    with (FOLDER / "babel.cfg").open() as file:
        methods, options = frontend.parse_mapping_cfg(file)  # type: ignore[attr-defined]  # old stubs
    return {
        folder: {
            text
            for _, _, text, _, _ in extract_from_dir(
                folder, method_map=methods, options_map=options
            )
            if isinstance(text, str)
        }
        for folder in (FOLDER, PAGES)
    }


def _name(path: Path) -> str:
    return path.relative_to(FOLDER.parent).as_posix()


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def test_the_languages_are_those_that_the_tests_render() -> None:
    assert {"en", *(path.stem for path in CATALOGS)} == set(LANGUAGES)
    assert {path.stem for path in PAGE_CATALOGS} == {path.stem for path in CATALOGS}


def test_the_mails_are_those_that_the_tests_render() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/subject.txt")} == set(MAILS)


@pytest.mark.parametrize("path", CATALOGS + PAGE_CATALOGS, ids=_name)
def test_every_text_is_translated(path: Path, sources: dict[Path, set[str]]) -> None:
    source = sources[path.parent.parent]
    catalog = {str(message.id): message for message in _read(path) if message.id}
    assert set(catalog) == source
    for text, message in catalog.items():
        assert message.string, f"{text!r} is not translated"
        assert not message.fuzzy, f"{text!r} is to be looked at"


@pytest.mark.parametrize("path", CATALOGS + PAGE_CATALOGS, ids=_name)
def test_translations_keep_the_placeholders(path: Path) -> None:
    for message in _read(path):
        source, translated = str(message.id), str(message.string)
        assert sorted(PLACEHOLDER.findall(source)) == sorted(PLACEHOLDER.findall(translated))
        assert "%" not in PLACEHOLDER.sub("", translated), f"{translated!r} would not be filled in"


@pytest.mark.parametrize("path", TEMPLATES + PAGE_TEMPLATES, ids=_name)
def test_no_template_speaks_english_by_itself(path: Path) -> None:
    """What stands outside of `_(…)` is punctuation, and the x of `2 x Mug`."""
    text = re.sub(r"\{[{%#].*?[%}#]\}", "", path.read_text(), flags=re.DOTALL)
    outside = re.sub(r"<.*?>|[a-z-]+=\".*?\"", "", text, flags=re.DOTALL)
    assert set(re.findall(r"\w+", outside)) <= {"x"}


@pytest.mark.parametrize("path", PAGE_TEMPLATES, ids=_name)
def test_no_expression_of_a_page_speaks_english_either(path: Path) -> None:
    """Names of states, fields and files are single words in small letters."""
    template = Environment(extensions=["jinja2.ext.i18n"], autoescape=True).parse(path.read_text())
    translated = {
        id(argument)
        for call in template.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name == "_"
        for argument in call.args
    }
    said = {
        constant.value
        for constant in template.find_all(nodes.Const)
        if isinstance(constant.value, str) and id(constant) not in translated
    }
    assert not [text for text in said if re.search(r"[A-Z]|\w \w", text)]
