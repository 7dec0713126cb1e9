"""Shipments: stock is taken, then each parcel is booked at the carrier."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.allocation import Allocation, Shortage, take_pieces
from activities.low_stock import record_low
from activities.messages import Messages
from activities.ports import Carrier
from activities.progress import Progress
from activities.stock_queue import StockQueue
from database import questions, reservations, stock
from database.backorders import join_queue, leave_queue
from database.engine import Database
from database.locks import lock_fulfillment
from database.orders import lock_order, mark_fulfillment
from database.parcels import (
    ParcelRow,
    forget_unbooked,
    mark_booked,
    read_parcels,
    save_parcels,
)
from database.questions import AnsweredBy
from database.returns import pieces_out
from database.shipments import (
    ClaimedShipment,
    ShipmentRow,
    claim_shipment,
    mark_stock_released,
    read_expected,
)
from domain.catalog import Catalog
from domain.checkout import Address
from domain.errors import AddressRefusedError, PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.orders import FulfillmentState, Question, StockAnswer
from domain.shipping import BookedShipment, ParcelItem, ShipmentRequest, choose_rate
from domain.stock import OutOfStockPolicy, pack

OUT_OF_STOCK = "out_of_stock"
ADDRESS_PATIENCE = timedelta(days=14)
"""How long a customer may take to give another address, until an operator is asked."""


class BookShipmentInput(BaseModel):
    """What to ship, for which fulfillment; the quantity is the line item's."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    sku: str
    weight_grams: int
    """Of one piece."""
    out_of_stock: OutOfStockPolicy = OutOfStockPolicy.OPERATOR
    answer_days: int = 7
    """After how many days an offered refund is taken as wanted."""


class ReserveStockInput(BaseModel):
    """What to hold for which fulfillment; the quantity is the line item's."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    sku: str
    days: int | None = None
    """For how long; None until the payment's outcome."""


class AbandonShipmentInput(BaseModel):
    """Which fulfillment is given up."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef


@dataclass(frozen=True)
class _Claim:
    """A shipment that has its stock: what is to be booked, and where it goes."""

    to: Address
    phone: str | None
    parcels: tuple[ParcelRow, ...]
    tried_before: bool
    low: tuple[str | None, ...] = ()
    """Messages about what became low by it."""


class ShipmentActivities:
    """Activities on shipments.

    Args:
        database: Where stock and shipments are recorded.
        carrier: Who brings the parcels.
        catalog: What bundles are made of, which warehouses there are, how parcels are made.
        queue: Who waits for stock that comes back.
        messages: Tells the merchant's application what runs low.
    """

    def __init__(
        self,
        database: Database,
        carrier: Carrier,
        catalog: Catalog,
        queue: StockQueue,
        messages: Messages,
    ) -> None:
        self._database = database
        self._carrier = carrier
        self._catalog = catalog
        self._queue = queue
        self._messages = messages

    @activity.defn
    async def reserve_stock(self, request: ReserveStockInput) -> bool:
        """Holds stock for a line item whose payment is under way.

        Too little stock is no error here: the payment may be lost, and stock may come, before
        the shipment is booked.

        Returns:
            Whether it is held now.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            await lock_order(connection, ref.session_id)
            if await reservations.is_reserved(connection, ref):
                return True
            expected = await read_expected(connection, ref)
            items = self._catalog.parts(request.sku, expected.quantity, 0)
            try:
                taken = await take_pieces(
                    connection, ref, items, self._catalog.warehouses_for(expected.country)
                )
            except PermanentError as error:
                activity.logger.warning("nothing is held: %s", error.message)
                return False
            if isinstance(taken, Shortage):
                return False
            expires_at = (
                None if request.days is None else datetime.now(UTC) + timedelta(days=request.days)
            )
            await reservations.save_reservation(connection, ref, taken.takes, expires_at)
            low = await record_low(connection, self._messages, taken.low)
        await self._messages.send(*low)
        return True

    @activity.defn
    async def book_shipment(self, request: BookShipmentInput) -> Progress:
        """Takes the stock, books the parcels, and marks the fulfillment.

        The rows of shipment and parcels are committed, with their stock, before the carrier is
        called. A later try finds them, asks the carrier for a parcel under its reference, and
        books only when there is none; the idempotency key covers two tries at the same moment.

        Returns:
            What it waits for: stock, or the customer's answer.

        Raises:
            PermanentError: Stock is short, the carrier refuses to book, or the customer wants
                the money back. No stock is held then, but by parcels one of which is booked.
        """
        ref = request.fulfillment
        claim = await self._claim(request)
        if isinstance(claim, PermanentError):
            if claim.code != OUT_OF_STOCK:
                # It has left the queue, or put pieces back: others may have them now.
                await self._wake_queue()
            raise claim
        if isinstance(claim, Progress):
            return claim
        await self._messages.send(*claim.low)
        unbooked = [each for each in claim.parcels if each.is_unbooked]
        booked: tuple[str, BookedShipment] | None = None
        for parcel in unbooked:
            if booked is not None:
                async with self._database.transaction() as connection:
                    await mark_booked(connection, *booked)
            try:
                booked = parcel.reference, await self._book(parcel, claim)
            except AddressRefusedError as error:
                return await self._ask_for_address(ref, error)
            except PermanentError:
                await self._release(ref)
                raise
        async with self._database.transaction() as connection:
            # The fulfillment's row before those of its parcels, as whoever claims it does.
            await mark_fulfillment(connection, ref, FulfillmentState.FULFILLED)
            if booked is not None:
                await mark_booked(connection, *booked)
        return Progress()

    async def _book(self, parcel: ParcelRow, claim: _Claim) -> BookedShipment:
        if claim.tried_before:
            found = await self._carrier.find(parcel.reference)
            if found is not None:
                return found
        request = ShipmentRequest(
            reference=parcel.reference,
            to=claim.to,
            phone=claim.phone,
            from_address=self._catalog.warehouse_address(parcel.warehouse),
            items=parcel.items,
        )
        rule = self._catalog.shipping.rate_rule
        rate = None if rule is None else choose_rate(await self._carrier.quote(request), rule)
        return await self._carrier.book(request, rate)

    async def _claim(self, request: BookShipmentInput) -> _Claim | Progress | PermanentError:
        """Takes the stock, if that was not done before.

        What keeps it from being booked is an answer here and no exception, since what is
        recorded of it is to be committed.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_shipment(connection, ref)
            if line.state is FulfillmentState.FULFILLED:
                return Progress()
            if line.shipping_address is None:
                raise PermanentError("address_missing", "no shipping address was collected")
            if line.is_asked:
                answered = await self._heed_answers(connection, ref)
                if answered is not None:
                    return answered
            low: tuple[str | None, ...] = ()
            parcels = () if line.holds_stock is None else await read_parcels(connection, ref)
            items = await self._missing(connection, request, line.quantity, parcels)
            is_begun = line.holds_stock and any(each.is_unbooked for each in parcels)
            if items and not is_begun:
                row = self._sold(request, line.quantity)
                taken = await self._take(connection, ref, line, items)
                if isinstance(taken, Shortage):
                    return await self._wait_for_stock(connection, request, items, taken)
                low = await record_low(connection, self._messages, taken.low)
                if line.holds_stock is False:
                    await forget_unbooked(connection, ref)
                weights = {item.sku: item.weight_grams for item in items}
                packed = pack(taken.takes, weights, self._catalog.shipping.max_parcel_grams)
                # Of those that were never booked the names are used again: one may be known there.
                last = max((each.number for each in parcels if not each.is_unbooked), default=0)
                parcels = await save_parcels(connection, ref, row, packed, after=last)
            return _Claim(
                to=line.shipping_address,
                phone=line.phone,
                parcels=parcels,
                tried_before=line.holds_stock is not None,
                low=low,
            )

    async def _missing(
        self,
        connection: AsyncConnection,
        request: BookShipmentInput,
        quantity: int,
        parcels: Sequence[ParcelRow],
    ) -> tuple[ParcelItem, ...]:
        """What is to be shipped, less what was before its money went back, and came again."""
        wanted = self._catalog.parts(request.sku, quantity, request.weight_grams)
        if not parcels:
            return wanted
        has = await pieces_out(connection, request.fulfillment, parcels)
        return tuple(
            item.model_copy(update={"quantity": item.quantity - has[item.sku]})
            for item in wanted
            if item.quantity > has[item.sku]
        )

    def _sold(self, request: BookShipmentInput, quantity: int) -> ShipmentRow:
        piece = self._catalog.parts(request.sku, 1, request.weight_grams)
        return ShipmentRow(
            sku=request.sku,
            quantity=quantity,
            weight_grams=request.weight_grams,
            parts={item.sku: item.quantity for item in piece},
        )

    async def _take(
        self,
        connection: AsyncConnection,
        ref: FulfillmentRef,
        line: ClaimedShipment,
        items: Sequence[ParcelItem],
    ) -> Allocation | Shortage:
        if line.is_reserved:
            wanted = {item.sku: item.quantity for item in items}
            held = await reservations.use(connection, ref, wanted)
            if held is not None:
                return Allocation(held)
        country = line.shipping_address.country if line.shipping_address else None
        taken = await take_pieces(connection, ref, items, self._catalog.warehouses_for(country))
        if isinstance(taken, Allocation):
            if line.is_queued:
                await leave_queue(connection, ref)
            if line.is_asked:
                # Its stock has come: there is nothing to choose any more.
                await questions.answer(
                    connection, ref, Question.OUT_OF_STOCK, StockAnswer.WAIT, AnsweredBy.DEFAULT
                )
        return taken

    async def _heed_answers(
        self, connection: AsyncConnection, ref: FulfillmentRef
    ) -> Progress | PermanentError | None:
        """What follows from the customer's answers, and from none: None to go on."""
        unanswered = await questions.take_defaults(connection, ref)
        asked = await questions.read_questions(connection, ref)
        if Question.ADDRESS in unanswered:
            await _put_back_whole(connection, ref)
            return PermanentError(
                "address_refused",
                f"the customer gave no other address within {ADDRESS_PATIENCE.days} days",
            )
        choice = asked.get(Question.OUT_OF_STOCK)
        if choice is not None and choice.answer == StockAnswer.REFUND:
            await leave_queue(connection, ref)
            return PermanentError(
                "refund_chosen",
                f"stock ran out, and the money back was chosen (by {choice.answered_by}): "
                "it is refunded by itself, or else by POST /orders/{session_id}/refunds",
            )
        address = asked.get(Question.ADDRESS)
        if address is not None and address.answer is None:
            return await _wait_for_address(connection, ref, address.default_at)
        return None

    async def _wait_for_stock(
        self,
        connection: AsyncConnection,
        request: BookShipmentInput,
        items: Sequence[ParcelItem],
        shortage: Shortage,
    ) -> Progress | PermanentError:
        ref = request.fulfillment
        if request.out_of_stock is OutOfStockPolicy.OPERATOR:
            return PermanentError(OUT_OF_STOCK, shortage.problem)
        await join_queue(connection, ref, items)
        offers_refund = request.out_of_stock is OutOfStockPolicy.REFUND_OFFER
        default_at = (
            datetime.now(UTC) + timedelta(days=request.answer_days) if offers_refund else None
        )
        await questions.ask(connection, ref, Question.OUT_OF_STOCK, default_at)
        question = (await questions.read_questions(connection, ref))[Question.OUT_OF_STOCK]
        is_open = question.answer is None
        state = (
            FulfillmentState.AWAITING_CUSTOMER
            if offers_refund and is_open
            else FulfillmentState.BACKORDERED
        )
        await mark_fulfillment(connection, ref, state)
        return Progress(
            waiting=f"{OUT_OF_STOCK}: {shortage.problem}",
            look_again_in=_until(question.default_at) if is_open else None,
            ask=Question.OUT_OF_STOCK if is_open else None,
        )

    async def _ask_for_address(self, ref: FulfillmentRef, refusal: AddressRefusedError) -> Progress:
        """Asks the customer, who keeps the stock in the meantime; a second time the operator."""
        async with self._database.transaction() as connection:
            default_at = datetime.now(UTC) + ADDRESS_PATIENCE
            if await questions.ask(connection, ref, Question.ADDRESS, default_at):
                return await _wait_for_address(connection, ref, default_at)
        await self._release(ref)
        raise refusal

    @activity.defn
    async def abandon_shipment(self, request: AbandonShipmentInput) -> None:
        """Puts back the stock of a shipment that an operator gives up; what is booked stays so.

        Raises:
            PermanentError: The carrier has booked it after all; a retry records that.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            parcels = await read_parcels(connection, ref)
        for parcel in parcels:
            if (
                parcel.carrier_shipment_id is None
                and await self._carrier.find(parcel.reference) is not None
            ):
                raise PermanentError(
                    "shipment_booked", "the carrier has booked this parcel: retry to record it"
                )
        async with self._database.transaction() as connection:
            await lock_fulfillment(connection, ref)
            await reservations.release(connection, ref.session_id, ref)
            await leave_queue(connection, ref)
            await questions.withdraw(connection, ref)
            await _put_back(connection, ref)
            await forget_unbooked(connection, ref)
        await self._wake_queue()

    async def _release(self, ref: FulfillmentRef) -> None:
        async with self._database.transaction() as connection:
            await lock_fulfillment(connection, ref)
            await _put_back_whole(connection, ref)
        await self._wake_queue()

    async def _wake_queue(self) -> None:
        try:
            await self._queue.wake_ready()
        except TransientError as error:
            activity.logger.warning("the next sweep tells who waits for stock: %s", error.message)


async def _put_back(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Puts back what a shipment holds, but for parcels that a carrier has booked."""
    parcels = await read_parcels(connection, ref)
    unbooked = [parcel for parcel in parcels if parcel.is_unbooked]
    is_shipped = any(parcel.is_shipped for parcel in parcels)
    if is_shipped or await mark_stock_released(connection, ref):
        await stock.put_back(
            connection, [(take, ref) for parcel in unbooked for take in parcel.takes]
        )


async def _put_back_whole(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Puts a shipment's stock back, unless a carrier has part of it: the rest is to follow."""
    parcels = await read_parcels(connection, ref)
    if not any(parcel.is_shipped for parcel in parcels):
        await _put_back(connection, ref)


async def _wait_for_address(
    connection: AsyncConnection, ref: FulfillmentRef, default_at: datetime | None
) -> Progress:
    await mark_fulfillment(connection, ref, FulfillmentState.AWAITING_CUSTOMER)
    return Progress(
        waiting="address_refused: the customer is asked for another address",
        look_again_in=_until(default_at),
        ask=Question.ADDRESS,
    )


def _until(at: datetime | None) -> timedelta | None:
    """How long until then, and a second more: the database's clock decides."""
    if at is None:
        return None
    return max(at - datetime.now(UTC), timedelta(0)) + timedelta(seconds=1)
