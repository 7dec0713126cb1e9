"""Shipments whose money went back: canceled at the carrier, or asked back."""

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.ports import Carrier
from activities.progress import Progress
from activities.reversals import ReverseInput
from activities.stock_queue import StockQueue
from database import questions, reservations, stock
from database.backorders import leave_queue
from database.engine import Database
from database.parcels import ParcelRow, forget_unbooked, mark_booked, mark_canceled, read_parcels
from database.returns import ask_back, end_return, pieces_out, read_returns
from database.reversals import (
    ReversibleFulfillment,
    lock_reversible,
    note_taken_back,
    want_again,
)
from database.shipments import mark_stock_released, read_parts
from domain.errors import TransientError
from domain.orders import FulfillmentState
from domain.returns import Return, ReturnState
from domain.shipping import ParcelStatus
from domain.stock import Take

LONGEST_BOOKING = timedelta(minutes=2)
"""So long a try may still be booking that began before the money went back; see
`workflows.options.CARRIER`."""
_LOOK_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True)
class _Plan:
    """What is to be asked of the carrier.

    Attributes:
        unsure: Parcels that a try may have booked of which nobody has heard.
        unwanted: Booked parcels of which nothing is paid for any more.
    """

    unsure: tuple[ParcelRow, ...]
    unwanted: tuple[ParcelRow, ...]


class ShipmentReversalActivities:
    """Activities on shipments whose money went back, or came again.

    Args:
        database: Where stock, parcels and returns are recorded.
        carrier: Who has the parcels.
        queue: Who waits for stock that comes back.
    """

    def __init__(self, database: Database, carrier: Carrier, queue: StockQueue) -> None:
        self._database = database
        self._carrier = carrier
        self._queue = queue

    @activity.defn
    async def reverse_shipment(self, request: ReverseInput) -> Progress:
        """Brings a shipment to the pieces that are still paid for.

        A parcel of which nothing is paid for is canceled, if the carrier does not have it yet, and
        its pieces are put back. What has left is asked back. Once it is paid for again, what was
        asked back may be kept, and what is missing is shipped again.

        Returns:
            That it waits for a try that may still be booking, or nothing.

        Raises:
            TransientError: The carrier cannot answer now.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            plan = await _plan(connection, await lock_reversible(connection, ref))
        if isinstance(plan, Progress):
            return plan
        for parcel in plan.unsure:
            found = await self._carrier.find(parcel.reference)
            if found is not None:
                async with self._database.transaction() as connection:
                    await lock_reversible(connection, ref)
                    await mark_booked(connection, parcel.reference, found)
                return await self.reverse_shipment(request)
        canceled = {
            parcel.reference
            for parcel in plan.unwanted
            if await self._carrier.cancel(parcel.carrier_shipment_id or "")
        }
        async with self._database.transaction() as connection:
            await _carry_out(connection, await lock_reversible(connection, ref), canceled)
        try:
            await self._queue.wake_ready()
        except TransientError as error:
            activity.logger.warning("the next sweep tells who waits for stock: %s", error.message)
        return Progress()


async def _plan(
    connection: AsyncConnection, fulfillment: ReversibleFulfillment
) -> _Plan | Progress:
    parcels = await read_parcels(connection, fulfillment.ref)
    unbooked = tuple(each for each in parcels if each.is_unbooked)
    is_over = (
        fulfillment.state is FulfillmentState.REVERSED
        and fulfillment.unchanged_for > LONGEST_BOOKING
    )
    if unbooked and not is_over:
        return Progress(waiting="its parcels may be being booked", look_again_in=_LOOK_AGAIN)
    excess = +await _balance(connection, fulfillment, parcels)
    unwanted = []
    for parcel in parcels:
        if parcel.status is ParcelStatus.BOOKED and parcel.pieces <= excess:
            unwanted.append(parcel)
            excess -= parcel.pieces
    return _Plan(unsure=unbooked, unwanted=tuple(unwanted))


async def _balance(
    connection: AsyncConnection,
    fulfillment: ReversibleFulfillment,
    parcels: Iterable[ParcelRow],
) -> Counter[str]:
    """Pieces that the customer has or gets, less those that are paid for; by SKU."""
    balance = await pieces_out(connection, fulfillment.ref, parcels)
    for sku, pieces in (await read_parts(connection, fulfillment.ref)).items():
        balance[sku] -= pieces * fulfillment.kept
    return balance


async def _carry_out(
    connection: AsyncConnection, fulfillment: ReversibleFulfillment, canceled: Set[str]
) -> None:
    """Records what was canceled, and what follows; see `database.locks` for the order of locks."""
    ref = fulfillment.ref
    is_over = fulfillment.state is FulfillmentState.REVERSED
    if is_over:
        await reservations.release(connection, ref.session_id, ref)
    parcels = await read_parcels(connection, ref)
    gone = [
        each
        for each in parcels
        if (each.reference in canceled and each.status is ParcelStatus.BOOKED)
        or (is_over and each.is_unbooked)
    ]
    left = [each for each in parcels if each not in gone]
    if not any(each.is_shipped for each in left):
        await mark_stock_released(connection, ref)
    await stock.put_back(connection, [(take, ref) for each in gone for take in each.takes])
    await mark_canceled(connection, [each.reference for each in gone])
    if is_over:
        await forget_unbooked(connection, ref)
        await leave_queue(connection, ref)
        await questions.withdraw(connection, ref)
    balance = await _balance(connection, fulfillment, left)
    await ask_back(connection, ref, _of_parcels(+balance, left))
    if await _withdraw(connection, await read_returns(connection, ref), -balance):
        await want_again(connection, fulfillment)
    await note_taken_back(connection, fulfillment)


def _of_parcels(pieces: Counter[str], parcels: Iterable[ParcelRow]) -> list[Take]:
    """Which pieces are asked back, of those in the parcels that have left."""
    takes = []
    for take in (take for each in parcels if each.is_shipped for take in each.takes):
        quantity = min(take.quantity, pieces[take.sku])
        if quantity:
            pieces[take.sku] -= quantity
            takes.append(take.model_copy(update={"quantity": quantity}))
    return takes


async def _withdraw(
    connection: AsyncConnection, asked: Iterable[Return], missing: Counter[str]
) -> bool:
    """Lets the customer keep what is paid for again; tells whether pieces are missing still."""
    for each in asked:
        if each.state is ReturnState.ASKED and each.quantity <= missing[each.sku]:
            await end_return(connection, each.id, ReturnState.WITHDRAWN)
            missing[each.sku] -= each.quantity
    return bool(+missing)
