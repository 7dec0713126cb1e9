"""`fulfillment backfill`: fulfills what was sold since a date."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from activities.reconciliation import Reconciler
from adapters.stripe_api import open_stripe
from adapters.stripe_feed import StripeFeed
from commands.dates import parse_date
from commands.terminal import answers, run
from connection import connect_by
from database.engine import Database
from domain.errors import FulfillmentError, MisconfiguredError, TransientError
from domain.formats import format_money, locale_of
from domain.orders import OrderState
from domain.reconciliation import Action, Finding
from settings import Settings, load
from workflows.client import Fulfillments

MAX_TRIES = 5
FIRST_PAUSE_S = 1.0

_T = TypeVar("_T")

_WILL = {
    Action.START: "start",
    Action.REOPEN: "open again",
    Action.WAKE: "look at again",
}


class Backfill:
    """One run of the command.

    Args:
        reconciler: Finds what is missing, and starts it.
        console: Where people look.
        ignored: Whether to look again at sessions that were not ours, after the catalog changed.
    """

    def __init__(self, reconciler: Reconciler, console: Console, *, ignored: bool) -> None:
        self._reconciler = reconciler
        self._console = console
        self._ignored = ignored

    async def find(self, accounts: Iterable[str | None], since: datetime) -> list[Finding]:
        """Everything that was sold since then, oldest first."""
        found: list[Finding] = []
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed}"),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("Sessions read from Stripe", total=None)
            for account in accounts:
                after: str | None = None
                while True:
                    page = await _patiently(
                        partial(self._reconciler.completed_page, account, since, after)
                    )
                    found += await self._reconciler.compare(page.sessions, account)
                    progress.update(task, completed=len(found))
                    after = page.last
                    if after is None:
                        break
        return [self._widened(finding) for finding in reversed(found)]

    def _widened(self, finding: Finding) -> Finding:
        if self._ignored and finding.state is OrderState.IGNORED:
            return finding.model_copy(update={"action": Action.REOPEN})
        return finding

    async def run(self, findings: list[Finding]) -> dict[str, str]:
        """Does what is to be done; returns what could not be done and why, by session ID."""
        failed: dict[str, str] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console) as progress:
            for finding in progress.track(findings, description="Orders taken on"):
                try:
                    await _patiently(partial(self._reconciler.act, finding))
                except FulfillmentError as error:
                    failed[finding.session.id] = error.message
        return failed


async def _patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Calls again when that may help, as late as the other side asks.

    Raises:
        FulfillmentError: It does not help, or not within `MAX_TRIES`.
    """
    for number in range(1, MAX_TRIES + 1):
        try:
            return await call()
        except MisconfiguredError:
            # Who runs the command is who can mend it.
            raise
        except TransientError as error:
            if number == MAX_TRIES:
                raise
            pause_s = error.retry_after.total_seconds() if error.retry_after else 0
            await asyncio.sleep(max(pause_s, FIRST_PAUSE_S * 2 ** (number - 1)))
    raise AssertionError("unreachable")


def findings_table(findings: Iterable[Finding]) -> Table:
    """What was sold without an order that fits, and what is done about it."""
    table = Table("Checkout Session", "Created", "Mode", "Total", "Payment", "Order", "To do")
    for finding in findings:
        session = finding.session
        table.add_row(
            session.id,
            f"{session.created:%Y-%m-%d %H:%M}" if session.created else "",
            session.mode or "",
            format_money(session.total, locale_of("en")) if session.total else "",
            session.payment,
            finding.state or "none",
            _WILL[finding.action],
        )
    return table


async def backfill(
    settings: Settings,
    since: datetime,
    *,
    account: str | None = None,
    dry_run: bool = False,
    ignored: bool = False,
) -> int:
    """Runs the command; returns its exit code.

    Raises:
        FulfillmentError: Stripe, Temporal or the database do not answer.
    """
    progress = Console(stderr=True)
    answer = answers()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            Database(settings.database_url.get_secret_value())
        )
        stripe = await stack.enter_async_context(
            open_stripe(
                settings.stripe_api_key.get_secret_value(), api_base=settings.stripe_api_base
            )
        )
        client = await connect_by(settings, lazy=True)
        fulfillments = Fulfillments(client, settings.temporal_task_queue)
        reconciler = Reconciler(database, StripeFeed(stripe), fulfillments)
        this = Backfill(reconciler, progress, ignored=ignored)
        accounts: list[str | None] = (
            [account] if account else await reconciler.accounts(settings.stripe_connect_accounts)
        )
        found = await this.find(accounts, since)
        missing = [finding for finding in found if finding.action is not Action.NOTHING]
        if missing:
            answer.print(findings_table(missing))
        counts = Counter(finding.action for finding in found)
        todo = [f"{counts[action]} to {_WILL[action]}" for action in _WILL if counts[action]]
        todo.append(f"{counts[Action.NOTHING]} need nothing")
        answer.print(
            f"{len(found)} completed sessions since {since:%Y-%m-%d %H:%M} UTC: {', '.join(todo)}"
        )
        if dry_run or not missing:
            return 0
        failed = await this.run(missing)
    for session_id, why in failed.items():
        answer.print(f"[red]{session_id}: {why}[/]")
    answer.print(f"{len(missing) - len(failed)} handed to Temporal, {len(failed)} failed")
    return 1 if failed else 0


def main(
    *,
    since: Annotated[
        datetime,
        typer.Option(
            parser=parse_date, metavar="DATE", help="2026-11-01, 2026-11-01T12:00 (UTC), 7d, 12h."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be done.")
    ] = False,
    account: Annotated[
        str | None, typer.Option(metavar="acct_…", help="Only this connected account.")
    ] = None,
    ignored: Annotated[
        bool,
        typer.Option(
            "--ignored", help="Look again at sessions that were not ours (FOREIGN_SESSIONS=ignore)."
        ),
    ] = False,
) -> None:
    """Starts the fulfillment of everything that Stripe sold and no order tells of.

    Unlike the scheduled sweep it also takes on what was sold before this service ran for the first
    time, so look at --dry-run first. Running it twice does no harm.
    """
    work = backfill(load(Settings), since, account=account, dry_run=dry_run, ignored=ignored)
    raise typer.Exit(run(work))
