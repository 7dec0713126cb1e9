"""Which kinds of installed packages are taken, read from metadata as installers write them."""

from importlib.metadata import entry_points
from pathlib import Path
from uuid import uuid4

import pytest

from workflows.fulfillment.registry import GROUP, OURS, KindError, with_installed

KIND = """
from workflows.fulfillment.authoring import FulfillmentKind, Parameters
async def _deliver(ref, parameters, step): ...
KIND = FulfillmentKind({name!r}, Parameters, _deliver)
"""


def install(folder: Path, code: str) -> str:
    """Lays down what an installer would, module and metadata; returns the module's name."""
    name = f"package_{uuid4().hex}"
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-1.0.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[checkout_fulfillment.kinds]\nkind = {name}:KIND\n"
    )
    return name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are installed in."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_kind_of_a_package_joins_ours(site: Path) -> None:
    install(site, KIND.format(name="gift_wrap"))
    kinds = with_installed(entry_points(group=GROUP))
    assert set(kinds) == {kind.name for kind in OURS} | {"gift_wrap"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (KIND.format(name="access"), ": there is a kind 'access' already"),
        (KIND.format(name="unassigned"), ": there is a kind 'unassigned' already"),
        (KIND.format(name="Gift-Card"), ": kind 'Gift-Card' needs a name of small letters"),
        ("KIND = 'gift'", " is no FulfillmentKind but a str"),
        ("", " cannot be loaded: module"),
        ("import not_there", " cannot be loaded: No module named 'not_there'"),
        ("1 / 0", " cannot be loaded: division by zero"),
    ],
)
def test_a_bad_one_is_refused_with_its_package(site: Path, code: str, problem: str) -> None:
    name = install(site, code)
    with pytest.raises(KindError) as refusal:
        with_installed(entry_points(group=GROUP))
    assert str(refusal.value).startswith(f"{name}:KIND of {name}{problem}")


def test_two_packages_cannot_bring_the_same_kind(site: Path) -> None:
    for _ in range(2):
        install(site, KIND.format(name="gift_wrap"))
    with pytest.raises(KindError, match="there is a kind 'gift_wrap' already"):
        with_installed(entry_points(group=GROUP))
