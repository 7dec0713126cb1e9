"""`fulfillment prune`: deletes what nobody needs any more, of orders that stay."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from sqlalchemy import Row

from commands.dates import parse_date
from commands.terminal import answers, confirm, refuse, run, table
from database.engine import Database
from database.retention import FORGETTABLE, count_old, delete_old
from settings import DatabaseSettings, load

MIN_AGE = timedelta(days=120)
"""As long as most banks let customers dispute a payment: until then it is all evidence."""


async def prune(
    database_url: str, before: datetime, archive: TextIO | None, *, dry_run: bool
) -> dict[str, int]:
    """Deletes what is older; returns how many rows of each table.

    Raises:
        FulfillmentError: The database does not answer; what is deleted by then is deleted.
    """
    counts = {}
    async with Database(database_url) as database:
        for kind in FORGETTABLE:
            name = kind.table.name
            if dry_run:
                counts[name] = await count_old(database, kind, before)
                continue
            counts[name] = 0
            async for batch in delete_old(database, kind, before):
                if archive:
                    _keep(archive, name, batch)
                counts[name] += len(batch)
    return counts


def _keep(archive: TextIO, name: str, batch: Sequence[Row[Any]]) -> None:
    """Has rows on the disk before they are deleted."""
    for row in batch:
        values = {"table": name, **row._mapping}  # noqa: SLF001 - public, in spite of its name
        archive.write(json.dumps(values, default=str, ensure_ascii=False) + "\n")
    archive.flush()
    os.fsync(archive.fileno())


def main(
    *,
    before: Annotated[
        datetime,
        typer.Option(
            "--before", parser=parse_date, metavar="DATE", help="What is older: 2026-01-01, 400d."
        ),
    ],
    archive: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="A new file that gets what is deleted."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Deletes old log rows: uses, tracking, messages to your application, alerts.

    Orders, their line items and fulfillments, mails, refunds, stock and the audit stay.
    """
    if datetime.now(UTC) - before < MIN_AGE:
        raise typer.BadParameter(f"what is younger than {MIN_AGE.days} days is needed still")
    if not dry_run:
        confirm(f"Delete what is older than {before:%Y-%m-%d}, for good?", yes=yes)
    database_url = load(DatabaseSettings).database_url.get_secret_value()
    try:
        # It is full of customers' data: for its owner only.
        file = (
            os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
            if archive and not dry_run
            else None
        )
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    try:
        counts = run(prune(database_url, before, file, dry_run=dry_run))
    finally:
        if file:
            file.close()
    listed = table("Rows of", "Would be deleted" if dry_run else "Deleted")
    for name, count in counts.items():
        listed.add_row(name, str(count))
    answers().print(listed)
