"""The SQL that real use executes, and how PostgreSQL would carry it out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from database.engine import Database

_PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
_READS_ALL = frozenset({"Seq Scan", "Parallel Seq Scan"})


@dataclass(frozen=True)
class Plan:
    """How one statement is carried out.

    Attributes:
        statement: Its text.
        read_whole: Big tables of which every row is read.
        indexes: Those that are used.
        cost: The planner's estimate, in its own unit: a page read one after the other.
    """

    statement: str
    read_whole: tuple[str, ...]
    indexes: frozenset[str]
    cost: float


@contextmanager
def noting_statements() -> Iterator[dict[str, Any]]:
    """Notes each different statement that any engine of this process executes.

    Yields:
        The parameters of its first execution, by its text.
    """
    seen: dict[str, Any] = {}

    def note(
        _connection: object,
        _cursor: object,
        statement: str,
        parameters: Any,
        _context: object,
        is_many: bool,  # noqa: FBT001 - as SQLAlchemy passes it
    ) -> None:
        if statement.lstrip().startswith(_PLANNED):
            seen.setdefault(statement, parameters[0] if is_many else parameters)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def plans_of(
    database: Database, statements: dict[str, Any], big_rows: int
) -> tuple[Plan, ...]:
    """How the database would carry out each of these statements, by its statistics.

    Args:
        database: One with many orders.
        statements: As `noting_statements` yields them.
        big_rows: From how many rows on a table is big.
    """
    plans = []
    async with database.transaction() as connection:
        rows = await connection.execute(
            text("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= :rows"),
            {"rows": big_rows},
        )
        big = frozenset(rows.scalars())
        for statement, parameters in statements.items():
            explained = await connection.exec_driver_sql(
                f"EXPLAIN (FORMAT JSON) {statement}", parameters
            )
            root = explained.scalar_one()[0]["Plan"]
            read_whole = {
                node["Relation Name"] for node in _nodes(root) if node["Node Type"] in _READS_ALL
            }
            indexes = frozenset(node["Index Name"] for node in _nodes(root) if "Index Name" in node)
            plans.append(
                Plan(statement, tuple(sorted(read_whole & big)), indexes, root["Total Cost"])
            )
    return tuple(plans)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
