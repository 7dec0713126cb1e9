"""Dates as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer


def parse_since(text: str, now: datetime | None = None) -> datetime:
    """Reads a date, a date with a time (UTC unless it says otherwise), or `7d`, `12h`.

    Raises:
        ValueError: It is none of these, or lies in the future.
    """
    now = now or datetime.now(UTC)
    span = re.fullmatch(r"(\d{1,5})([dh])", text)
    if span:
        number = int(span[1])
        try:
            since = now - (timedelta(days=number) if span[2] == "d" else timedelta(hours=number))
        except OverflowError as error:
            raise ValueError("lies before all time") from error
    else:
        since = datetime.fromisoformat(text)
        since = since if since.tzinfo else since.replace(tzinfo=UTC)
    if since > now:
        raise ValueError("lies in the future")
    return since


def parse_date(text: str) -> datetime:
    """Reads what was given as an option.

    Raises:
        typer.BadParameter: See `parse_since`.
    """
    try:
        return parse_since(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}") from error


Since = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_date, metavar="DATE", help="Orders created then or later: 2026-11-01, 7d."
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=parse_date, metavar="DATE", help="Orders created before then."),
]
