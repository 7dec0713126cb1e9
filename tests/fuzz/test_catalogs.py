"""Catalog files of any content: read, or refused by a sentence that says what is wrong."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog import Catalog, CatalogError
from tests.fuzz.drawn import drawn
from workflows.catalog_file import read_catalog

ROOT = Path(__file__).parent.parent.parent
DESCRIBED = "\n".join(
    block
    for page in ("README.md", "docs/stock.md", "docs/reversals.md")
    for block in re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
)
"""All that the documents say of the file."""
VALUES = (
    "0",
    "-1",
    "1e400",
    "true",
    '""',
    '"x"',
    "[]",
    "[[]]",
    "{}",
    "1979-05-27",
    "nan",
    '"\\u0000"',
)
_LINES = st.integers(0, 9_999)


def _edited(lines: list[str], edits: list[tuple[str, int, str]]) -> str:
    """The file with lines taken away, doubled, given another value, or swapped for a text."""
    lines = list(lines)
    for what, number, text in edits:
        at = number % len(lines)
        line = lines[at]
        match what:
            case "remove":
                lines[at] = ""
            case "double":
                lines.insert(at, line)
            case "value":
                lines[at] = f"{line.partition('=')[0]}= {text}" if "=" in line else line
            case _:
                lines[at] = text
    return "\n".join(lines)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogs") / "catalog.toml"


def _read(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with suppress(CatalogError):
        assert isinstance(read_catalog(file), Catalog)


EDITS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["remove", "double"]), _LINES, st.just("")),
        st.tuples(st.just("value"), _LINES, st.sampled_from(VALUES)),
        st.tuples(st.just("text"), _LINES, st.text(max_size=40)),
    ),
    min_size=1,
    max_size=4,
)


def test_what_the_documents_say_is_read(file: Path) -> None:
    file.write_text(DESCRIBED)
    catalog = read_catalog(file)
    assert catalog.products
    assert catalog.bundles
    assert catalog.reversals


@drawn(200, 20_000)
@given(edits=EDITS)
def test_an_edited_file_is_read_or_refused(file: Path, edits: list[tuple[str, int, str]]) -> None:
    lines = DESCRIBED.splitlines()
    _read(file, _edited(lines, edits).encode("utf-8", "surrogatepass"))


@drawn(50, 5_000)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(file: Path, content: bytes) -> None:
    _read(file, content)
