"""Orders: what Stripe says of them, what is planned, what is stuck, when they are done."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.alerts import Alerts
from activities.ports import CheckoutSessions
from activities.refunds import Refunder
from activities.reversals import Reverser
from database.audit import record_act_once
from database.engine import Database
from database.orders import (
    clear_order_problem,
    close_order,
    lock_order,
    mark_fulfillment,
    mark_order_problem,
    read_fulfillment_state,
    read_plan,
    read_states,
    refresh_state,
    replace_plan,
    save_checkout,
    save_plan,
    save_unknown,
)
from database.reservations import release_unplanned
from database.sweeps import is_from_before_us
from domain.catalog import UNASSIGNED, Catalog
from domain.checkout import (
    CheckoutSession,
    ForeignSessions,
    Payment,
    SessionStatus,
    mismatch_of,
    payment_of,
)
from domain.errors import PermanentError, SessionUnknownError
from domain.ids import FulfillmentRef, is_livemode_session
from domain.money import Money
from domain.orders import (
    OPEN_STATES,
    Fulfillment,
    FulfillmentState,
    OrderState,
    PlannedFulfillment,
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class SyncOrderInput(_Model):
    """Which session to retrieve.

    `account` is the connected account that it belongs to, None for our own.
    `replan_line_item_id` names a line item whose stuck fulfillments are planned anew.
    """

    session_id: str
    account: str | None = None
    replan_line_item_id: str | None = None


class OrderSnapshot(_Model):
    """What a workflow needs to know of an order; holds no personal data, and no keys."""

    payment: Payment
    state: OrderState
    fulfillments: tuple[Fulfillment, ...] = ()
    payment_method_type: str | None = None
    """What the customer pays with, such as `sepa_debit`; None where nobody knows."""
    total: Money | None = None
    created_at: datetime | None = None
    """When Stripe opened the session."""
    expected: tuple[PlannedFulfillment, ...] = ()
    """Of a completed session whose payment is under way: what will be planned once it has come."""


class RefreshOrderInput(_Model):
    """Whose state is to follow from its fulfillments."""

    session_id: str


class StepDecision(_Model):
    """What an operator has decided about a step.

    `verdict` is the name of the update, `tries` how often the step had been tried by then, `at`
    when it was decided.
    """

    verdict: str
    by: str
    reason: str
    tries: int
    at: datetime


class RecordStepInput(_Model):
    """How far a step came.

    `fulfillment` is None for a step of the order as a whole. `note` is what an operator said.
    """

    session_id: str
    step: str
    state: FulfillmentState
    fulfillment: FulfillmentRef | None = None
    error: str | None = None
    note: str | None = None
    decision: StepDecision | None = None
    """None where nobody decided, or under 0.3.0."""


class CloseOrderInput(_Model):
    """Which order is done, and how."""

    session_id: str
    state: OrderState


_ACTS = {
    "retry": "step_retried",
    "skip": "step_skipped",
    "mark_fulfilled": "step_done_by_hand",
}
"""What the timeline calls the updates."""


class OrderActivities:
    """Activities on orders.

    Args:
        database: Where orders are recorded.
        sessions: Stripe's Checkout Sessions.
        catalog: What each product fulfills.
        reverser: Records what went back.
        refunder: Has refunded what cannot be delivered, where the catalog says so.
        alerts: Tells operators of what is stuck.
        livemode: Whether this deployment works on real money; it refuses the other mode.
        foreign_sessions: What to do about sessions of which nothing is ours to fulfill.
    """

    def __init__(
        self,
        database: Database,
        sessions: CheckoutSessions,
        catalog: Catalog,
        reverser: Reverser,
        refunder: Refunder,
        *,
        alerts: Alerts,
        livemode: bool,
        foreign_sessions: ForeignSessions,
    ) -> None:
        self._database = database
        self._reverser = reverser
        self._refunder = refunder
        self._alerts = alerts
        self._sessions = sessions
        self._catalog = catalog
        self._livemode = livemode
        self._foreign_sessions = foreign_sessions

    @activity.defn
    async def sync_order(self, request: SyncOrderInput) -> OrderSnapshot:
        """Retrieves the Checkout Session with all its line items and records it as an order.

        Once it is paid, each line item is planned by the catalog. A plan is made once: a
        later change of the catalog changes nothing about line items planned before, unless
        the request names one. A session that Stripe never knew is recorded as such.
        """
        if is_livemode_session(request.session_id) != self._livemode:
            raise PermanentError("wrong_mode", "the session is of the other mode (test or live)")
        try:
            session = await self._sessions.retrieve(request.session_id, request.account)
        except SessionUnknownError as error:
            return await self._record_unknown(request, error)
        payment = payment_of(session)
        plans = {item.id: self._catalog.plan(item) for item in session.line_items}
        async with self._database.transaction() as connection:
            state, known = await save_checkout(
                connection, session, payment, foreign=self._is_foreign(plans)
            )
            fulfillments = await read_plan(connection, session.id) if known else ()
            if payment is Payment.SETTLED and state in OPEN_STATES:
                planned = {item.line_item_id for item in fulfillments}
                new = [plan for item, plan in plans.items() if item not in planned]
                fulfillments += await save_plan(
                    connection, session.id, [each for plan in new for each in plan]
                )
                if known:
                    await release_unplanned(connection, session.id)
                replanned = plans.get(request.replan_line_item_id or "")
                if replanned is not None:
                    item_id = replanned[0].line_item_id
                    await replace_plan(connection, session.id, item_id, replanned)
                    fulfillments = await read_plan(connection, session.id)
        if fulfillments:
            fulfillments = await self._without_reversed(session, fulfillments, known=known)
        if mismatch := mismatch_of(session):
            activity.logger.warning("order %s does not add up: %s", session.id, mismatch)
        under_way = payment is Payment.PENDING and session.status is SessionStatus.COMPLETE
        return OrderSnapshot(
            payment=payment,
            state=state,
            fulfillments=tuple(map(_for_history, fulfillments)),
            payment_method_type=session.payment_method.type if session.payment_method else None,
            total=session.total,
            created_at=session.created,
            expected=tuple(each for plan in plans.values() for each in plan) if under_way else (),
        )

    async def is_from_before_us(self, session_id: str, account: str | None) -> bool:
        """Whether another system has fulfilled an order that is not recorded here.

        Raises:
            PermanentError: Stripe refuses to tell.
            TransientError: Stripe cannot answer now.
        """
        async with self._database.transaction() as connection:
            if await read_states(connection, [session_id]):
                return False
        try:
            session = await self._sessions.retrieve(session_id, account)
        except SessionUnknownError:
            return False
        async with self._database.transaction() as connection:
            return await is_from_before_us(
                connection,
                session.account,
                session.created,
                datetime.now(UTC),
                livemode=self._livemode,
            )

    async def _without_reversed(
        self, session: CheckoutSession, planned: tuple[Fulfillment, ...], *, known: bool
    ) -> tuple[Fulfillment, ...]:
        """Heeds what went back before anything is delivered, also what no event told of."""
        if session.is_reversed and session.payment_intent_id:
            await self._reverser.heed(session.id, session.payment_intent_id, session.account)
        elif not (known and await self._reverser.aim(session.id)):
            return planned
        async with self._database.transaction() as connection:
            return await read_plan(connection, session.id)

    def _is_foreign(self, plans: Mapping[str, tuple[PlannedFulfillment, ...]]) -> bool:
        """Whether line items were bought, and nothing says how to fulfill any of them."""
        return (
            self._foreign_sessions is ForeignSessions.IGNORE
            and bool(plans)
            and all(each.kind == UNASSIGNED for plan in plans.values() for each in plan)
        )

    async def _record_unknown(
        self, request: SyncOrderInput, error: SessionUnknownError
    ) -> OrderSnapshot:
        async with self._database.transaction() as connection:
            recorded = await save_unknown(
                connection, request.session_id, request.account, f"{error.code}: {error.message}"
            )
        if not recorded:
            raise error
        return OrderSnapshot(payment=Payment.PENDING, state=OrderState.UNKNOWN_SESSION)

    @activity.defn
    async def record_step(self, request: RecordStepInput) -> FulfillmentState | None:
        """Records that a step is stuck, is tried again, or was settled by an operator.

        What is stuck for good is refunded, where the catalog says so.

        Returns:
            The state that its fulfillment has now; None where it is none.

        Raises:
            TransientError: Temporal did not accept the refund, or the alert.
        """
        state = None
        refund = None
        alert = None
        async with self._database.transaction() as connection:
            await lock_order(connection, request.session_id)
            if request.fulfillment is not None:
                await mark_fulfillment(
                    connection,
                    request.fulfillment,
                    request.state,
                    error=request.error,
                    note=request.note,
                    # A step is recorded as that only where an operator says so.
                    by_hand=request.state is FulfillmentState.FULFILLED,
                )
                state = await read_fulfillment_state(connection, request.fulfillment)
                if request.error is not None and state is FulfillmentState.ACTION_REQUIRED:
                    refund = await self._refunder.ask_by_policy(
                        connection, request.fulfillment, request.error
                    )
            elif request.error is not None:
                await mark_order_problem(
                    connection, request.session_id, step=request.step, error=request.error
                )
            else:
                await clear_order_problem(connection, request.session_id, request.step)
            # What the record refuses, since the money went back, is not done.
            if request.decision is not None and state is not FulfillmentState.REVERSED:
                await _record_decision(
                    connection, request.session_id, request.step, request.decision
                )
            await refresh_state(connection, request.session_id)
            if request.error is not None and refund is None:
                alert = await self._alerts.record_stuck(
                    connection, request.session_id, step=request.step, error=request.error
                )
        if alert is not None:
            await self._alerts.send([alert])
        if refund is not None:
            await self._refunder.make(refund)
        return state

    @activity.defn
    async def refresh_order(self, request: RefreshOrderInput) -> None:
        """Makes an open order's state follow from those of its fulfillments."""
        async with self._database.transaction() as connection:
            await lock_order(connection, request.session_id)
            await refresh_state(connection, request.session_id)

    @activity.defn
    async def close_order(self, request: CloseOrderInput) -> OrderState | None:
        """Ends an order, once all its steps are settled.

        Returns:
            As what; None where there is something to deliver after all.
        """
        async with self._database.transaction() as connection:
            await lock_order(connection, request.session_id)
            return await close_order(connection, request.session_id, request.state)


def _for_history(item: Fulfillment) -> Fulfillment:
    """Without what the customer has, such as a license key, and what operators said of it."""
    return item.model_copy(update={"delivered": (), "parcels": (), "note": None})


async def _record_decision(
    connection: AsyncConnection, session_id: str, step: str, decision: StepDecision
) -> None:
    where = f"{step}, try {decision.tries}"
    workflow_id = activity.info().workflow_id
    if workflow_id != session_id:
        # Several refunds of an order have steps of the same names.
        where = f"{workflow_id}: {where}"
    await record_act_once(
        connection,
        session_id,
        act=_ACTS[decision.verdict],
        by=decision.by,
        detail=f"{where}: {decision.reason}" if decision.reason else where,
        since=decision.at,
    )
