"""Which migrations this code knows, told without Alembic, which takes half a second to import."""

from pathlib import Path

_KNOWN = sorted(
    file.name.partition("_")[0]
    for file in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*_*.py")
)


def newest_revision() -> str:
    """The revision that this code needs."""
    return _KNOWN[-1]


def is_behind(revision: str | None) -> bool:
    """Whether a database at this revision lacks what this code needs.

    One that this code does not know is a newer release's. While releases change, and after a
    rollback, old code works on it: a migration takes nothing away that the release before needs.
    """
    return revision is None or (revision in _KNOWN and revision != newest_revision())
