"""The one program with all commands: `fulfillment`.

A command's module is imported once it is called: they all together take two seconds, which
nobody is to wait for at each press of the Tab key.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import typer
from typer.core import TyperGroup

NAME = "fulfillment"
DESCRIPTION = """
Order fulfillment for Stripe Checkout.

Exit codes: 0 done, 1 it cannot be done or something is wrong, 2 wrong usage, 75 something outside
does not answer now.
"""


@dataclass(frozen=True)
class Command:
    """One command, or group of them.

    Attributes:
        panel: Under which heading it is listed.
        module: Where it is.
        member: Its function there, or its `typer.Typer`.
        summary: What it does, in one line.
    """

    panel: str
    module: str
    member: str
    summary: str


_LOOK = "Look"
_ACT = "Act on an order"
_KEEP = "Stock, keys and data"
_RUN = "Set up and run"

COMMANDS = {
    "status": Command(_LOOK, "commands.status", "status", "How all orders stand."),
    "list": Command(_LOOK, "commands.listing", "list_", "Orders, the newest first."),
    "find": Command(
        _LOOK, "commands.listing", "find", "An order by mail address, payment, number, tracking …"
    ),
    "show": Command(_LOOK, "commands.show", "show", "One order, and all that happened to it."),
    "retry": Command(_ACT, "commands.steps", "retry", "Try a stuck step again."),
    "skip": Command(_ACT, "commands.steps", "skip", "Give a stuck step up."),
    "fulfill": Command(_ACT, "commands.steps", "fulfill", "A person has done what a step is for."),
    "hold": Command(_ACT, "commands.act", "hold", "Deliver nothing more of an order."),
    "release": Command(_ACT, "commands.act", "release", "Deliver after all what was held."),
    "resend": Command(_ACT, "commands.act", "resend", "Mail the receipt again, or another mail."),
    "redirect": Command(_ACT, "commands.act", "redirect", "Ship to another address."),
    "refund": Command(
        _ACT, "commands.act", "refund", "Give money back, and take back what it paid."
    ),
    "stock": Command(_KEEP, "commands.stock", "app", "What is on hand."),
    "licenses": Command(_KEEP, "commands.licenses", "app", "Pools of license keys."),
    "export": Command(_KEEP, "commands.export", "main", "All orders, or all fulfillments."),
    "erase": Command(_KEEP, "commands.erase", "main", "Erase a customer's personal data."),
    "prune": Command(_KEEP, "commands.prune", "main", "Delete old rows of logs."),
    "backup": Command(_KEEP, "commands.backup", "backup", "The whole database, into a file."),
    "restore": Command(_KEEP, "commands.backup", "restore", "A backup, into an empty database."),
    "doctor": Command(_RUN, "commands.doctor", "main", "Is everything set up right?"),
    "setup": Command(_RUN, "commands.setup", "main", "Register this service at Stripe."),
    "backfill": Command(_RUN, "commands.backfill", "main", "Fulfill what was sold since a date."),
    "migrate": Command(
        _RUN, "commands.migrate", "migrate", "Bring the database to the newest schema."
    ),
    "api": Command(_RUN, "commands.serve", "api", "Run the API."),
    "worker": Command(_RUN, "commands.serve", "worker", "Run a worker."),
}


class _Loading(TyperGroup):
    """A group whose commands are imported once they are called."""

    commands_to_load: Mapping[str, Command] = {}

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401 - typer keeps the types of its commands to itself
        args: list[str],
    ) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, listed, rest
        return name, _load(name, self.commands_to_load[name]), rest


def _load(name: str, command: Command) -> object:
    target = getattr(importlib.import_module(command.module), command.member)
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name)(target)
        target = app
    target.rich_markup_mode = _markup_mode()
    return typer.main.get_command(target)


def _markup_mode() -> Literal["rich"] | None:
    """Boxes are for people: what a program reads is not to be broken where a line ends."""
    return "rich" if sys.stderr.isatty() else None


def _listed() -> None:
    """What stands in the list in place of a command."""


def build(commands: Mapping[str, Command] = COMMANDS) -> typer.Typer:
    """The program.

    Args:
        commands: What it can do.
    """
    group = type("Group", (_Loading,), {"commands_to_load": commands})
    app = typer.Typer(
        name=NAME,
        cls=group,
        help=DESCRIPTION,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=_markup_mode(),
    )
    for name, command in commands.items():
        app.command(name, help=command.summary, rich_help_panel=command.panel)(_listed)
    return app


def program(commands: Mapping[str, Command] = COMMANDS) -> None:
    """Runs the command line; see `build`."""
    build(commands)(prog_name=NAME)
