"""How commands speak: tables for people, JSON for machines, and what their exit codes mean.

0   done
1   cannot be done, or something is wrong; the reason is on standard error
2   wrong usage
75  something outside does not answer now: trying again may help (EX_TEMPFAIL of sysexits.h)
"""

import asyncio
import getpass
import json
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from domain.errors import FulfillmentError, MisconfiguredError, TransientError

TRY_AGAIN_LATER = 75
WIDTH = 200
"""In columns, where the output goes to no terminal: what is cut off could not be copied."""

_T = TypeVar("_T")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # what it raises where the system knows no such user
        return ""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[
    str,
    typer.Option(
        help="Who does it, for the order's timeline.",
        metavar="NAME",
        show_default="your login name",
        default_factory=_login_name,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


def answers() -> Console:
    """Where a command's answer goes: standard output."""
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def say(text: str) -> None:
    """Answers in words."""
    print(text)  # noqa: T201 - a command's answer


def print_json(value: object) -> None:
    """Answers machines; pydantic's `model_dump(mode="json")` makes what it takes."""
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201 - a command's answer


def table(*columns: str) -> Table:
    """A table whose first column, what is to be copied, stands on one line."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=number == 0)
    return made


def counted(number: int, what: str) -> str:
    """As in 1 order, 2 orders."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def refuse(message: str, code: int = 1) -> NoReturn:
    """Ends the command: what it was asked for cannot be done."""
    print(message, file=sys.stderr)  # noqa: T201 - as the interpreter does
    raise typer.Exit(code)


def known(by: str) -> str:
    """Who does it.

    Raises:
        typer.BadParameter: Nobody says.
    """
    if not by.strip():
        raise typer.BadParameter("say who you are", param_hint="--by")
    return by


def confirm(question: str, *, yes: bool) -> None:
    """Asks before what cannot be undone; where nobody can answer, `--yes` has to.

    Raises:
        typer.Exit: The answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        refuse(f"{question} Nobody is there to ask: say --yes", 2)
    if not typer.confirm(question):
        refuse("Nothing is done.")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Does it, or ends the command with what stands in the way.

    Raises:
        typer.Exit: It cannot be done, or not now.
    """
    try:
        return asyncio.run(work)
    except FulfillmentError as error:
        again = isinstance(error, TransientError) and not isinstance(error, MisconfiguredError)
        refuse(f"{error.code}: {error.message}", TRY_AGAIN_LATER if again else 1)
