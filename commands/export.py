"""`fulfillment export`: the merchant's own data.

Rows are streamed: a million orders need no more memory than one. docs/data.md lists the columns.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from commands.dates import Since, Until
from commands.terminal import refuse, run
from database.engine import Database
from database.export import Export, columns, stream_rows
from settings import DatabaseSettings, load

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Where a cell begins with one of these, spreadsheets run it; source: OWASP, "CSV Injection"."""

Write = Callable[[Sequence[Any]], None]


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"


def csv_writer(out: TextIO, names: Sequence[str]) -> Write:
    """Writes the header, and then rows: RFC 4180, in UTF-8."""
    writer = csv.writer(out)
    writer.writerow(names)
    return lambda row: writer.writerow([_cell(value) for value in row])


def jsonl_writer(out: TextIO, names: Sequence[str]) -> Write:
    """Writes rows as one JSON object per line."""

    def write(row: Sequence[Any]) -> None:
        values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
        out.write(json.dumps(values, ensure_ascii=False) + "\n")

    return write


_WRITERS = {Format.CSV: csv_writer, Format.JSONL: jsonl_writer}


def _plain(value: object) -> object:
    """Times as ISO 8601 in UTC; all else is JSON already."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    value = _plain(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


async def export(
    database_url: str,
    what: Export,
    write: Write,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Writes all rows; returns how many.

    Raises:
        FulfillmentError: The database does not answer.
    """
    count = 0
    async with (
        Database(database_url) as database,
        # To sort years of orders takes long, and whoever reads them may be slow.
        database.transaction(may_last=True) as connection,
    ):
        async for row in stream_rows(connection, what, since, until):
            write(row)
            count += 1
    return count


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """Where to write; a file appears under its name when it is complete."""
    if path is None:
        with os.fdopen(
            sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False
        ) as stdout:
            yield stdout
        return
    part = path.with_name(f"{path.name}.part")
    # It is full of customers' data: for its owner only.
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield file
    part.replace(path)


def main(
    what: Annotated[Export, typer.Argument()],
    *,
    how: Annotated[Format, typer.Option("--format", help="How rows are written.")] = Format.CSV,
    since: Since = None,
    until: Until = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")
    ] = None,
) -> None:
    """Writes all orders, or all fulfillments, one per line."""
    database_url = load(DatabaseSettings).database_url.get_secret_value()
    try:
        with _opened(out) as file:
            write = _WRITERS[how](file, columns(what))
            count = run(export(database_url, what, write, since, until))
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    if out is not None:
        answer = Console(stderr=True, soft_wrap=True, markup=False)
        answer.print(f"{count} {what} in {out}")
