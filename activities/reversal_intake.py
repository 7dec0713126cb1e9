"""Reversals as their workflows see them: recorded, carried out, told."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.orders import OrderActivities, SyncOrderInput
from activities.ports import Fulfillments, Reversals
from activities.reversals import Reverser
from database.audit import SERVICE
from database.engine import Database
from database.orders import read_states
from database.reversals import (
    find_order,
    lock_reversible,
    note_taken_back,
    read_aims,
    read_paid,
    read_reversals,
    read_unsettled,
)
from domain.ids import FulfillmentRef
from domain.orders import OPEN_STATES, OrderState
from domain.reversals import ReversalObject, is_watched, unassigned


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class RecordReversalInput(_Model):
    """Which of Stripe's objects tells that money went back.

    `account` is the connected account that it belongs to, None for our own.
    """

    kind: ReversalObject
    id: str
    account: str | None = None


class ReversalSnapshot(_Model):
    """What a workflow needs to know of a reversal; holds no personal data."""

    session_id: str | None = None
    """None where no order of ours was paid by that payment."""
    aims: tuple[str, ...] = ()
    """Where its fulfillments are to come to, to be compared."""
    unsettled: tuple[FulfillmentRef, ...] = ()
    """What has not come to where it is to be."""
    by_hand: tuple[FulfillmentRef, ...] = ()
    """The same, of what a person has delivered."""
    question: str | None = None
    """What an operator has to say, if so."""
    is_watched: bool = False
    """Whether Stripe may say more of it."""


class ResumeOrderInput(_Model):
    """Which order, and which of Stripe's objects told of its reversal."""

    session_id: str
    account: str | None
    reversal_id: str


class SettleByHandInput(_Model):
    """A fulfillment that no code takes back; `note` is what an operator said, once one did."""

    fulfillment: FulfillmentRef
    reversal_id: str
    by: str | None = None
    note: str = ""


class ReversalActivities:
    """Activities on reversals.

    Args:
        database: Where they are recorded.
        stripe: What went back.
        reverser: Records it.
        orders: Records the orders that it is about.
        fulfillments: Wakes their workflows.
    """

    def __init__(
        self,
        database: Database,
        stripe: Reversals,
        reverser: Reverser,
        orders: OrderActivities,
        fulfillments: Fulfillments,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._reverser = reverser
        self._orders = orders
        self._fulfillments = fulfillments

    @activity.defn
    async def record_reversal(self, request: RecordReversalInput) -> ReversalSnapshot:
        """Records all that went back of a payment, and wakes the order's workflow.

        The order is recorded too, should it not be: what is refunded before anybody heard of its
        sale is never delivered. One that another system has fulfilled, before us, is none of ours:
        what is left of it would be delivered again.
        """
        account = request.account
        paid_by = await self._stripe.payment_of(request.kind, request.id, account)
        session_id = await self._session_of(paid_by, account)
        if paid_by is None or session_id is None:
            return ReversalSnapshot()
        if await self._orders.is_from_before_us(session_id, account):
            return ReversalSnapshot()
        sync = SyncOrderInput(session_id=session_id, account=account)
        if (await self._orders.sync_order(sync)).state is OrderState.UNKNOWN_SESSION:
            return ReversalSnapshot()
        await self._reverser.heed(session_id, paid_by, account)
        return await self._snapshot(request, session_id)

    async def _session_of(self, paid_by: str | None, account: str | None) -> str | None:
        if paid_by is None:
            return None
        async with self._database.transaction() as connection:
            known = await find_order(connection, paid_by)
        return known or await self._stripe.session_of(paid_by, account)

    async def _snapshot(self, request: RecordReversalInput, session_id: str) -> ReversalSnapshot:
        async with self._database.transaction() as connection:
            known = await read_reversals(connection, session_id)
            paid = await read_paid(connection, session_id)
            unsettled = await read_unsettled(connection, session_id, by_hand=False)
            by_hand = await read_unsettled(connection, session_id, by_hand=True)
            aims = await read_aims(connection, session_id)
        mine = {each.id: each for each in known}.get(request.id)
        asked = mine is not None and mine in unassigned(known, paid.total_minor)
        return ReversalSnapshot(
            session_id=session_id,
            aims=aims,
            unsettled=unsettled,
            by_hand=by_hand,
            question=f"line_items_unknown: {mine.problem}" if asked and mine else None,
            is_watched=mine is not None and is_watched(mine, datetime.now(UTC)),
        )

    @activity.defn
    async def resume_order(self, request: ResumeOrderInput) -> None:
        """Has the order's workflow look at its deliveries again, if the order is open.

        Raises:
            TransientError: Temporal did not accept it.
        """
        async with self._database.transaction() as connection:
            states = await read_states(connection, [request.session_id])
        if states.get(request.session_id) in OPEN_STATES:
            await self._fulfillments.resume(
                request.session_id, account=request.account, reversal_id=request.reversal_id
            )

    @activity.defn
    async def settle_by_hand(self, request: SettleByHandInput) -> bool:
        """Notes that a fulfillment has come to where it is to be, of a kind that does not say how.

        Returns:
            False where a person has to take back what was delivered.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            fulfillment = await lock_reversible(connection, ref)
            if fulfillment.is_settled:
                return True
            if fulfillment.was_delivered and request.by is None:
                return False
            note = f"for {request.reversal_id}: {request.note}" if request.by else ""
            await note_taken_back(connection, fulfillment, by=request.by or SERVICE, note=note)
        return True
