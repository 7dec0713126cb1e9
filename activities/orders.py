"""Orders: what Stripe says of them, what is planned, what is stuck, when they are done."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import CheckoutSessions
from database.engine import Database
from database.orders import (
    clear_order_problem,
    close_order,
    lock_order,
    mark_fulfillment,
    mark_order_problem,
    read_plan,
    refresh_state,
    replace_plan,
    save_checkout,
    save_plan,
)
from domain.catalog import Catalog
from domain.checkout import Payment, payment_of
from domain.errors import PermanentError
from domain.ids import FulfillmentRef, is_livemode_session
from domain.orders import Fulfillment, FulfillmentState, OrderState


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class SyncOrderInput(_Model):
    """Which session to retrieve.

    `replan_line_item_id` names a line item whose stuck fulfillments are planned anew.
    """

    session_id: str
    replan_line_item_id: str | None = None


class OrderSnapshot(_Model):
    """What a workflow needs to know of an order; holds no personal data."""

    payment: Payment
    state: OrderState
    fulfillments: tuple[Fulfillment, ...]


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


class CloseOrderInput(_Model):
    """Which order is done, and how."""

    session_id: str
    state: OrderState


class OrderActivities:
    """Activities on orders.

    Args:
        database: Where orders are recorded.
        sessions: Stripe's Checkout Sessions.
        catalog: What each product fulfills.
        livemode: Whether this deployment works on real money; it refuses the other mode.
    """

    def __init__(
        self, database: Database, sessions: CheckoutSessions, catalog: Catalog, *, livemode: bool
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._catalog = catalog
        self._livemode = livemode

    @activity.defn
    async def sync_order(self, request: SyncOrderInput) -> OrderSnapshot:
        """Retrieves the Checkout Session with all its line items and records it as an order.

        Once it is paid, each line item is planned by the catalog. A plan is made once: a
        later change of the catalog changes nothing about line items planned before, unless
        the request names one.
        """
        if is_livemode_session(request.session_id) != self._livemode:
            raise PermanentError("wrong_mode", "the session is of the other mode (test or live)")
        session = await self._sessions.retrieve(request.session_id)
        payment = payment_of(session)
        async with self._database.transaction() as connection:
            state, known = await save_checkout(connection, session, payment)
            fulfillments = await read_plan(connection, session.id) if known else ()
            if payment is Payment.SETTLED and state is not OrderState.FULFILLED:
                planned = {item.line_item_id for item in fulfillments}
                new = [item for item in session.line_items if item.id not in planned]
                fulfillments += await save_plan(
                    connection,
                    session.id,
                    [plan for item in new for plan in self._catalog.plan(item)],
                )
                for item in session.line_items:
                    if item.id == request.replan_line_item_id:
                        plan = self._catalog.plan(item)
                        await replace_plan(connection, session.id, item.id, plan)
                        fulfillments = await read_plan(connection, session.id)
        return OrderSnapshot(payment=payment, state=state, fulfillments=fulfillments)

    @activity.defn
    async def record_step(self, request: RecordStepInput) -> None:
        """Records that a step is stuck, is tried again, or was settled by an operator."""
        async with self._database.transaction() as connection:
            await lock_order(connection, request.session_id)
            if request.fulfillment is not None:
                await mark_fulfillment(
                    connection,
                    request.fulfillment,
                    request.state,
                    error=request.error,
                    note=request.note,
                )
            elif request.error is not None:
                await mark_order_problem(
                    connection, request.session_id, step=request.step, error=request.error
                )
            else:
                await clear_order_problem(connection, request.session_id)
            await refresh_state(connection, request.session_id)

    @activity.defn
    async def close_order(self, request: CloseOrderInput) -> None:
        """Ends an order, once all its steps are settled."""
        async with self._database.transaction() as connection:
            await close_order(connection, request.session_id, request.state)
