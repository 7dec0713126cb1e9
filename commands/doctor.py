"""`fulfillment doctor`: is everything set up right, and what to do where it is not."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from commands.checks import GROUPS
from commands.checks.registry import Row, State, fail, ok, open_site, run
from commands.partial_settings import PartialSettings, read_partially
from commands.terminal import AsJson, print_json

COLORS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red", State.SKIPPED: "dim"}
SECRETS = "stripe_webhook_secrets"
WIDTH = 160
"""In columns, where the output goes to no terminal."""


def settings_rows(read: PartialSettings) -> list[Row]:
    """What is wrong with the settings: a row each, or one that all is well."""
    rows = [
        Row(
            name.upper(),
            fail(problem, f"Set {name.upper()} in the environment or in .env; see .env.example"),
        )
        for name, problem in read.problems.items()
        if name != SECRETS
    ]
    if SECRETS in read.problems:
        remedy = (
            "`fulfillment setup` creates the endpoint and prints its secret;"
            " for tests: `stripe listen`"
        )
        rows.append(Row(SECRETS.upper(), fail(read.problems[SECRETS], remedy)))
    return rows or [Row("settings", ok("complete and safe"))]


async def examine(
    read: PartialSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[list[Row]]:
    """Everything that there is to say, in groups.

    Args:
        read: Where everything is.
        now: What this machine's clock shows.
    """
    if not read.values.stripe_webhook_secrets and SECRETS not in read.problems:
        missing = {SECRETS: "missing; without it no webhook can be trusted"}
        read = PartialSettings(read.values, {**read.problems, **missing})
    checks = [check for group in GROUPS for check in group.checks]
    async with open_site(read.values, now) as site:
        rows = iter(await run(read, checks, site))
    return [settings_rows(read), *([next(rows) for _ in group.checks] for group in GROUPS)]


def show(groups: Sequence[Sequence[Row]], console: Console) -> None:
    """Prints the table, and how many of each state there are."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Check", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Found", overflow="fold")
    table.add_column("What to do", overflow="fold")
    for group in groups:
        for row in group:
            state = row.finding.state
            dim = "dim" if state is State.SKIPPED else ""
            table.add_row(
                Text(row.check, dim),
                Text(state, COLORS[state]),
                Text(row.finding.found, dim),
                Text(row.finding.remedy),
            )
        table.add_section()
    console.print(table)
    counts = Counter(row.finding.state for group in groups for row in group)
    console.print(
        Text(", ").join(
            Text(f"{counts[state]} {state}", COLORS[state]) for state in State if counts[state]
        )
    )


def _for_machines(groups: Sequence[Sequence[Row]]) -> dict[str, object]:
    rows = [row for group in groups for row in group]
    return {
        "ok": not _fails(groups),
        "checks": [
            {
                "check": row.check,
                "state": row.finding.state,
                "found": row.finding.found,
                "remedy": row.finding.remedy,
            }
            for row in rows
        ],
    }


def _fails(groups: Sequence[Sequence[Row]]) -> bool:
    return any(row.finding.state is State.FAIL for group in groups for row in group)


def main(*, as_json: AsJson = False) -> None:
    """Checks this installation, and says for each problem what to do.

    It looks at the settings, at Stripe, at the running API, Temporal, the worker, the database,
    the mail server, the carrier and at what the products say. It changes nothing and sends no
    mail. Exit code 1 when something fails.
    """
    read = read_partially()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    if as_json:
        groups = asyncio.run(examine(read))
        print_json(_for_machines(groups))
    else:
        with console.status("Checking"):
            groups = asyncio.run(examine(read))
        show(groups, console)
    raise typer.Exit(1 if _fails(groups) else 0)
