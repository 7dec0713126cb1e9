"""The workflow that looks, on a schedule, for what no event has told."""

from collections import Counter
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.alerts import AlertActivities
    from activities.outbox import OutboxActivities
    from activities.reconciliation import (
        Feed,
        ReconciliationActivities,
        ResumeOrdersInput,
        SweepPageInput,
        SweepTarget,
    )
    from activities.stock_queue import StockActivities
    from domain.markdown import as_code, as_text
    from domain.reconciliation import Action
    from workflows import options

_V = TypeVar("_V")

WORKFLOW = "ReconcileCheckouts"
_OPTIONS = workflow.ActivityConfig(
    start_to_close_timeout=options.SWEEP.timeout,
    schedule_to_close_timeout=options.SWEEP.give_up_after,
    heartbeat_timeout=options.SWEEP.heartbeat,
    retry_policy=options.RETRY,
)
_MOST_DETAILS = 200
"""Lines: the details of a workflow hold 20 KB."""
_MOST_TEXT = 2_000
"""Characters of an error's message."""
_MOST_NAMED = 1_000
"""Sessions that a report names of each kind: a payload holds 2 MB."""


class SweepReport(BaseModel):
    """What a sweep found.

    Attributes:
        seen: How many entries of Stripe's lists it compared.
        counts: How often it did what.
        done: What it did, by session ID; of a long list the beginning.
        failed: What it could not do and why, by session ID, or by account for a whole account.
        unreadable: How many entries name no session.
        open_orders: How many open orders it looked at.
        stranded: Open orders whose workflow was ended: reset it, or skip its steps.
        expired: How many reservations of stock ended, because their time was over.
        woken: How many shipments were told that stock has come.
        sent: How much of what is to be sent nobody was sending.
    """

    model_config = ConfigDict(frozen=True)

    seen: int = 0
    counts: dict[Action, int] = {}
    done: dict[str, Action] = {}
    failed: dict[str, str] = {}
    unreadable: int = 0
    open_orders: int = 0
    stranded: tuple[str, ...] = ()
    expired: int = 0
    woken: int = 0
    sent: int = 0
    late: int = 0


@workflow.defn(name=WORKFLOW)
class ReconcileCheckouts:
    """One sweep: open orders, stock, Stripe's undelivered events, its completed sessions."""

    def __init__(self) -> None:
        self._report = SweepReport()

    @workflow.run
    async def run(self) -> SweepReport:
        """Sweeps every account; what fails for one stops no other, and is swept again.

        Raises:
            ApplicationError: An account could not be swept; the report is in its details.
        """
        await self._resume()
        if workflow.patched("keep-stock"):
            await self._keep_stock()
        if workflow.patched("send-unsent"):
            await self._send_unsent()
        plan = await workflow.execute_activity_method(
            ReconciliationActivities.begin_sweep, **_OPTIONS
        )
        unswept = {"connected accounts": plan.problem} if plan.problem else {}
        for target in plan.targets:
            try:
                await self._sweep(target)
            except ActivityError as error:
                unswept[target.account or "own account"] = str(error.cause or error)
        if workflow.patched("raise-overdue"):
            try:
                await self._raise_overdue()
            except ActivityError as error:
                unswept["late orders"] = str(error.cause or error)
        self._add(failed=unswept)
        if unswept:
            # Where operators look: a sweep that did not sweep is no success.
            raise ApplicationError(
                "; ".join(f"{account}: {why}" for account, why in unswept.items())[:_MOST_TEXT],
                self._report,
                type="accounts_not_swept",
            )
        return self._report

    async def _sweep(self, target: SweepTarget) -> None:
        feeds: tuple[Feed, ...] = (Feed.EVENTS, Feed.SESSIONS)
        if workflow.patched("sweep-reversals"):
            feeds += (Feed.REFUNDS, Feed.DISPUTES, Feed.FRAUD_WARNINGS)
        for feed in feeds:
            after = None
            while True:
                page = await workflow.execute_activity_method(
                    ReconciliationActivities.sweep_page,
                    SweepPageInput(target=target, feed=feed, after=after),
                    **(_OPTIONS | {"summary": f"{feed} of {target.account or 'our own account'}"}),
                )
                self._add(
                    seen=page.seen, done=page.done, failed=page.failed, unreadable=page.unreadable
                )
                after = page.last
                if after is None:
                    break
        await workflow.execute_activity_method(
            ReconciliationActivities.end_sweep,
            target,
            start_to_close_timeout=options.DATABASE.timeout,
            schedule_to_close_timeout=options.SWEEP.give_up_after,
            retry_policy=options.RETRY,
        )

    async def _resume(self) -> None:
        after: str | None = ""
        while after is not None:
            page = await workflow.execute_activity_method(
                ReconciliationActivities.resume_orders,
                ResumeOrdersInput(after=after),
                **_OPTIONS,
            )
            self._add(open_orders=page.seen, stranded=page.stranded)
            after = page.last

    async def _keep_stock(self) -> None:
        kept = await workflow.execute_activity_method(StockActivities.keep_stock, **_OPTIONS)
        self._add(expired=kept.expired, woken=kept.woken)

    async def _send_unsent(self) -> None:
        sent = await workflow.execute_activity_method(OutboxActivities.send_unsent, **_OPTIONS)
        self._add(sent=sent)

    async def _raise_overdue(self) -> None:
        late = await workflow.execute_activity_method(AlertActivities.raise_overdue, **_OPTIONS)
        self._add(late=late)

    def _add(
        self,
        *,
        seen: int = 0,
        done: dict[str, Action] | None = None,
        failed: dict[str, str] | None = None,
        unreadable: int = 0,
        open_orders: int = 0,
        stranded: tuple[str, ...] = (),
        expired: int = 0,
        woken: int = 0,
        sent: int = 0,
        late: int = 0,
    ) -> None:
        report = self._report
        counts = Counter(report.counts) + Counter((done or {}).values())
        self._report = SweepReport(
            seen=report.seen + seen,
            counts=dict(counts),
            done=_beginning({**report.done, **(done or {})}),
            failed=_beginning({**report.failed, **(failed or {})}),
            unreadable=report.unreadable + unreadable,
            open_orders=report.open_orders + open_orders,
            stranded=(report.stranded + stranded)[:_MOST_NAMED],
            expired=report.expired + expired,
            woken=report.woken + woken,
            sent=report.sent + sent,
            late=report.late + late,
        )
        workflow.set_current_details(_details(self._report))


def _beginning(named: dict[str, _V]) -> dict[str, _V]:
    return dict(islice(named.items(), _MOST_NAMED))


def _details(report: SweepReport) -> str:
    lines = [
        f"{report.seen} entries compared, {report.open_orders} open orders looked at",
        f"{report.expired} reservations expired, {report.woken} shipments told of their stock",
        f"{report.sent} messages and mails that nobody was sending",
        f"{report.late} orders that have become late",
        *(f"- {count} to {action}" for action, count in report.counts.items()),
        *(f"- `{session}`: {action}" for session, action in report.done.items()),
        *(f"- {as_code(what)} **failed**: {as_text(why)}" for what, why in report.failed.items()),
        *(f"- `{session}` **stranded**: its workflow was ended" for session in report.stranded),
    ]
    return "\n".join(lines[:_MOST_DETAILS])
