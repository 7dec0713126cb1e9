"""Reconciliation: finds what Stripe sold and no event told of, and orders without a workflow.

`Reconciler` does the work, for the scheduled workflow through `ReconciliationActivities` and for
the command `backfill`.
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import Fulfillments, SalesFeed
from database import sweeps
from database.engine import Database
from database.orders import read_open, read_states
from database.reversals import read_statuses, read_stuck
from domain.errors import FulfillmentError, PermanentError
from domain.ids import ALL_ACCOUNTS, is_checkout_session_id
from domain.reconciliation import (
    Action,
    Finding,
    ReversalPage,
    SeenReversal,
    SoldPage,
    SoldSession,
    action_for,
)
from domain.reversals import ReversalObject, object_of

STARTS_PER_S = 20
"""Each workflow asks Stripe at once; test mode takes 25 reads a second, live mode 100."""
LOOKS_PER_S = 100
"""Open orders: nearly all have their workflow, and asking Temporal is quick."""
SESSIONS_OVERLAP = timedelta(hours=25)
"""Stripe lists sessions by their creation, and one can be paid for a day after it."""
EVENTS_OVERLAP = timedelta(hours=1)
"""For clocks that differ, and what Stripe lists late."""
QUIET = timedelta(minutes=10)
"""An open order that has not changed for so long may have lost its workflow."""
OPEN_ORDERS_PAGE = 500


class Feed(StrEnum):
    """What is compared with our orders."""

    SESSIONS = "sessions"
    EVENTS = "events"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    FRAUD_WARNINGS = "fraud_warnings"


_REVERSALS = {
    Feed.REFUNDS: ReversalObject.REFUND,
    Feed.DISPUTES: ReversalObject.DISPUTE,
    Feed.FRAUD_WARNINGS: ReversalObject.FRAUD_WARNING,
}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class SweepTarget(_Model):
    """One account to sweep.

    Attributes:
        account: A connected account; None for our own.
        sessions_since: From when on sessions are listed.
        events_since: From when on events are listed.
        until: When the sweep began.
        all_events: Whether delivered events count too. In an account's first day: its sessions
            from before are not listed, though they may be paid since.
    """

    account: str | None
    sessions_since: datetime
    events_since: datetime
    until: datetime
    all_events: bool = False


class SweepPlan(_Model):
    """All accounts to sweep, and why the connected ones are not among them, if so."""

    targets: tuple[SweepTarget, ...]
    problem: str | None = None


class SweepPageInput(_Model):
    """One page of a list at Stripe; `after` is where the page before ended."""

    target: SweepTarget
    feed: Feed
    after: str | None = None


class SweepPageResult(_Model):
    """What a page held, and what was done.

    Attributes:
        seen: How many entries it had.
        done: What was done, by session ID.
        failed: Why nothing could be done, by session ID.
        unreadable: How many entries name no session.
        last: The cursor of the next page; None at the end.
    """

    seen: int
    done: dict[str, Action] = {}
    failed: dict[str, str] = {}
    unreadable: int = 0
    last: str | None = None


class ResumeOrdersInput(_Model):
    """A page of open orders; `after` is where the page before ended."""

    after: str = ""


class ResumeOrdersResult(_Model):
    """Open orders that were looked at.

    Attributes:
        seen: How many.
        stranded: Those whose workflow ended all the same: somebody canceled or terminated it.
        last: The cursor of the next page; None at the end.
    """

    seen: int
    stranded: tuple[str, ...] = ()
    last: str | None = None


class Reconciler:
    """Compares Stripe's lists with the recorded orders, and pushes what needs it.

    Args:
        database: Where orders are recorded.
        feed: What Stripe has sold.
        fulfillments: Starts and wakes workflows.
    """

    def __init__(self, database: Database, feed: SalesFeed, fulfillments: Fulfillments) -> None:
        self._database = database
        self._feed = feed
        self._fulfillments = fulfillments

    async def completed_page(
        self, account: str | None, since: datetime, after: str | None
    ) -> SoldPage:
        """One page of the completed sessions, newest first."""
        return await self._feed.completed(account, since, after)

    async def page_of(self, request: SweepPageInput) -> SoldPage:
        """One page of what is compared in a sweep, newest first."""
        target = request.target
        if request.feed is Feed.SESSIONS:
            return await self.completed_page(target.account, target.sessions_since, request.after)
        return await self._feed.events(
            target.account,
            target.events_since,
            request.after,
            undelivered_only=not target.all_events,
        )

    async def compare(
        self, sessions: Collection[SoldSession], account: str | None
    ) -> list[Finding]:
        """What is to be done about each session."""
        async with self._database.transaction() as connection:
            states = await read_states(connection, [session.id for session in sessions])
        return [
            Finding(
                session=session,
                account=account,
                state=states.get(session.id),
                action=action_for(states.get(session.id), session.payment),
            )
            for session in sessions
        ]

    async def reversals_page(
        self, kind: ReversalObject, request: SweepPageInput
    ) -> tuple[ReversalPage, dict[SeenReversal, bool]]:
        """One page of what went back; what of it is not as recorded, and whether it is recorded."""
        target = request.target
        page = await self._feed.reversals(
            kind, target.account, target.sessions_since, request.after
        )
        async with self._database.transaction() as connection:
            known = await read_statuses(connection, [each.id for each in page.reversals])
        changed = [each for each in page.reversals if known.get(each.id) != each.status]
        return page, {each: each.id in known for each in changed}

    async def notice(self, seen: SeenReversal, account: str | None, *, again: bool) -> None:
        """Has a reversal looked at, and rests as long as Stripe's limits ask.

        Raises:
            TransientError: Temporal did not accept it.
        """
        await self._fulfillments.notice(seen.kind, seen.id, account=account, again=again)
        await asyncio.sleep(1 / STARTS_PER_S)

    async def act(self, finding: Finding) -> None:
        """Does what is to be done about a session, and rests as long as Stripe's limits ask.

        Raises:
            PermanentError: Its ID has no form that a workflow could have, or its workflow was
                ended by hand.
            TransientError: Temporal did not accept it.
        """
        if not is_checkout_session_id(finding.session.id):
            raise PermanentError("session_id_invalid", "not a Checkout Session ID")
        if finding.action is Action.START:
            # Temporal may have ended one of which a restored database knows nothing.
            runs = await self._fulfillments.resume(finding.session.id, account=finding.account)
        else:
            runs = await self._fulfillments.ensure(
                finding.session.id,
                account=finding.account,
                # What is to be opened again may run still, in its last steps.
                wake=finding.action in {Action.WAKE, Action.REOPEN},
                reopen=finding.action is Action.REOPEN,
            )
        if not runs:
            raise PermanentError("workflow_ended", "its workflow has ended: reset it")
        await asyncio.sleep(1 / STARTS_PER_S)

    async def resume(self, after: str) -> ResumeOrdersResult:
        """Makes sure that open orders which have been quiet for a while have a workflow.

        Raises:
            TransientError: Temporal or the database cannot answer.
        """
        async with self._database.transaction() as connection:
            orders = await read_open(connection, after, QUIET, OPEN_ORDERS_PAGE)
        stranded = []
        for order in orders:
            if not await self._fulfillments.resume(order.session_id, account=order.account):
                stranded.append(order.session_id)
            await asyncio.sleep(1 / LOOKS_PER_S)
        if not after:
            await self._resume_reversals()
        return ResumeOrdersResult(
            seen=len(orders),
            stranded=tuple(stranded),
            last=orders[-1].session_id if len(orders) == OPEN_ORDERS_PAGE else None,
        )

    async def _resume_reversals(self) -> None:
        """Makes sure that there is a workflow for what should have been taken back by now.

        One that waits for an operator is not woken: its history would grow with each sweep.
        """
        async with self._database.transaction() as connection:
            stuck = await read_stuck(connection, QUIET, OPEN_ORDERS_PAGE)
        for each in stuck:
            await self._fulfillments.resume_reversal(
                object_of(each.cause), each.id, account=each.account
            )
            await asyncio.sleep(1 / STARTS_PER_S)

    async def accounts(self, connected: Collection[str]) -> list[str | None]:
        """Our own account and the connected ones, all of them where that is asked for."""
        named = await self._feed.accounts() if ALL_ACCOUNTS in connected else list(connected)
        return [None, *named]


class ReconciliationActivities:
    """The steps of a sweep.

    Args:
        reconciler: Does the work.
        database: Where it is noted how far sweeps have come.
        connect_accounts: The connected accounts whose sessions are ours, or `*` for all.
        livemode: Whether this deployment works on real money.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        database: Database,
        connect_accounts: Collection[str],
        *,
        livemode: bool,
    ) -> None:
        self._reconciler = reconciler
        self._database = database
        self._connect_accounts = connect_accounts
        self._livemode = livemode

    @activity.defn
    async def begin_sweep(self) -> SweepPlan:
        """Tells which accounts to sweep, and from when on.

        The first sweep of an account only notes that we are here from now on: what was sold
        before, somebody else may have fulfilled; the command `backfill` takes it on.
        """
        # Whole seconds, as Stripe's own times.
        now = datetime.now(UTC).replace(microsecond=0)
        targets = []
        problem = None
        accounts: list[str | None] = [None]
        try:
            accounts = await self._reconciler.accounts(self._connect_accounts)
        except FulfillmentError as error:
            # Our own account is swept all the same.
            problem = error.message
        for account in accounts:
            async with self._database.transaction() as connection:
                sweep = await sweeps.begin(connection, account, now, livemode=self._livemode)
            is_new = sweep.swept_until - sweep.began_at < SESSIONS_OVERLAP
            overlap = SESSIONS_OVERLAP if is_new else EVENTS_OVERLAP
            targets.append(
                SweepTarget(
                    account=account,
                    sessions_since=max(sweep.began_at, sweep.swept_until - SESSIONS_OVERLAP),
                    events_since=max(sweep.began_at, sweep.swept_until - overlap),
                    until=now,
                    all_events=is_new,
                )
            )
        return SweepPlan(targets=tuple(targets), problem=problem)

    @activity.defn
    async def sweep_page(self, request: SweepPageInput) -> SweepPageResult:
        """Compares one page of a list with our orders, and pushes what needs it."""
        target = request.target
        if request.feed in _REVERSALS:
            return await self._sweep_reversals(_REVERSALS[request.feed], request)
        page = await self._reconciler.page_of(request)
        done, failed = {}, {}
        for finding in await self._reconciler.compare(page.sessions, target.account):
            if finding.action is Action.NOTHING:
                continue
            session_id = finding.session.id
            try:
                await self._reconciler.act(finding)
            except PermanentError as error:
                activity.logger.error("session %s is left out: %s", session_id, error.message)
                failed[session_id] = error.code
            else:
                activity.logger.warning("session %s: no event told, %s", session_id, finding.action)
                done[session_id] = finding.action
        return SweepPageResult(
            seen=len(page.sessions) + page.unreadable,
            done=done,
            failed=failed,
            unreadable=page.unreadable,
            last=page.last,
        )

    async def _sweep_reversals(
        self, kind: ReversalObject, request: SweepPageInput
    ) -> SweepPageResult:
        page, changed = await self._reconciler.reversals_page(kind, request)
        for seen, is_known in changed.items():
            await self._reconciler.notice(seen, request.target.account, again=is_known)
        return SweepPageResult(
            seen=len(page.reversals) + page.unreadable,
            done={seen.id: Action.REVERSE for seen in changed},
            unreadable=page.unreadable,
            last=page.last,
        )

    @activity.defn
    async def resume_orders(self, request: ResumeOrdersInput) -> ResumeOrdersResult:
        """Starts the workflows of open orders that have lost theirs."""
        result = await self._reconciler.resume(request.after)
        for session_id in result.stranded:
            activity.logger.error(
                "order %s is open, yet its workflow was ended: reset the workflow", session_id
            )
        return result

    @activity.defn
    async def end_sweep(self, target: SweepTarget) -> None:
        """Notes that an account is swept."""
        async with self._database.transaction() as connection:
            await sweeps.end(connection, target.account, target.until, livemode=self._livemode)
