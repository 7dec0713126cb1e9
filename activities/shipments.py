"""Shipments: stock is taken, then a parcel is booked at the carrier."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import Carrier
from database import reservations, stock
from database.engine import Database
from database.orders import claim_line, lock_order, mark_fulfillment, read_quantity
from database.shipments import (
    ShipmentRow,
    claim_stock,
    mark_booked,
    read_shipment,
    release_stock,
)
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.orders import FulfillmentState
from domain.shipping import ShipmentRequest


class BookShipmentInput(BaseModel):
    """What to ship, for which fulfillment; the quantity is the line item's."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    sku: str
    weight_grams: int
    """Of one piece."""


class ReserveStockInput(BaseModel):
    """What to hold for which fulfillment; the quantity is the line item's."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    sku: str


class AbandonShipmentInput(BaseModel):
    """Which fulfillment is given up."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef


class ShipmentActivities:
    """Activities on shipments.

    Args:
        database: Where stock and shipments are recorded.
        carrier: Who brings the parcels.
    """

    def __init__(self, database: Database, carrier: Carrier) -> None:
        self._database = database
        self._carrier = carrier

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
            quantity = await read_quantity(connection, ref)
            return await reservations.reserve(connection, ref, request.sku, quantity)

    @activity.defn
    async def book_shipment(self, request: BookShipmentInput) -> None:
        """Takes the stock, books the parcel, and marks the fulfillment.

        The shipment's row and its stock are committed before the carrier is called. A later
        try finds the row, asks the carrier for a parcel under its reference, and books only
        when there is none; the idempotency key covers two tries at the same moment.

        Raises:
            PermanentError: Stock is short, or the carrier refuses to book; no stock is held then.
        """
        parcel, tried_before = await self._claim(request)
        if parcel is None:
            return
        booked = await self._carrier.find(parcel.reference) if tried_before else None
        if booked is None:
            try:
                booked = await self._carrier.book(parcel)
            except PermanentError:
                await self._release(request.fulfillment)
                raise
        async with self._database.transaction() as connection:
            await mark_booked(connection, request.fulfillment, booked)
            await mark_fulfillment(connection, request.fulfillment, FulfillmentState.FULFILLED)

    async def _claim(self, request: BookShipmentInput) -> tuple[ShipmentRequest | None, bool]:
        """Takes the stock; tells the parcel to book, if any, and if that was tried before."""
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            if line.state is FulfillmentState.FULFILLED:
                return None, True
            if line.shipping_address is None:
                raise PermanentError("address_missing", "no shipping address was collected")
            row = ShipmentRow(
                sku=request.sku, quantity=line.quantity, weight_grams=request.weight_grams
            )
            first_try = await claim_stock(connection, ref, row)
            if first_try:
                held = line.is_reserved and await reservations.use(
                    connection, ref, row.sku, row.quantity
                )
                if not held:
                    await stock.take(connection, row.sku, row.quantity, ref)
            else:
                row = await read_shipment(connection, ref)
        parcel = ShipmentRequest(
            reference=ref.idempotency_key, to=line.shipping_address, **row.model_dump()
        )
        return parcel, not first_try

    @activity.defn
    async def abandon_shipment(self, request: AbandonShipmentInput) -> None:
        """Puts back the stock of a shipment that an operator gives up.

        Raises:
            PermanentError: The carrier has booked it after all; a retry records that.
        """
        ref = request.fulfillment
        if await self._carrier.find(ref.idempotency_key) is not None:
            raise PermanentError(
                "shipment_booked", "the carrier has booked this parcel: retry to record it"
            )
        await self._release(ref)

    async def _release(self, ref: FulfillmentRef) -> None:
        async with self._database.transaction() as connection:
            await reservations.release(connection, ref.session_id, ref)
            held = await release_stock(connection, ref)
            if held is not None:
                await stock.put_back(connection, held.sku, held.quantity, ref)
