"""Shipments: stock is taken, then a parcel is booked at the carrier."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import Carrier
from database import stock
from database.engine import Database
from database.orders import fulfillment_state, line_and_customer, mark_fulfillment
from database.shipments import claim_shipment, mark_booked, mark_stock_taken
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
    async def book_shipment(self, request: BookShipmentInput) -> None:
        """Takes the stock, books the parcel, and marks the fulfillment.

        The shipment's row and its stock are committed before the carrier is called. A later
        try finds the row, asks the carrier for a parcel under its reference, and books only
        when there is none; the idempotency key covers two tries at the same moment.

        Raises:
            PermanentError: Stock is short, or the carrier refuses; no stock is held then.
        """
        parcel, tried_before = await self._claim(request)
        if parcel is None:
            return
        booked = await self._carrier.find(parcel.reference) if tried_before else None
        if booked is None:
            try:
                booked = await self._carrier.book(parcel)
            except PermanentError:
                await self._release(request.fulfillment, parcel)
                raise
        async with self._database.transaction() as connection:
            await mark_booked(connection, request.fulfillment, booked)
            await mark_fulfillment(connection, request.fulfillment, FulfillmentState.FULFILLED)

    async def _claim(self, request: BookShipmentInput) -> tuple[ShipmentRequest | None, bool]:
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            if await fulfillment_state(connection, ref) is FulfillmentState.FULFILLED:
                return None, True
            line = await line_and_customer(connection, ref)
            if line.shipping_address is None:
                raise PermanentError("address_missing", "no shipping address was collected")
            row = await claim_shipment(
                connection,
                ref,
                sku=request.sku,
                quantity=line.quantity,
                weight_grams=request.weight_grams,
            )
            if not row.stock_taken:
                await stock.take(connection, row.sku, row.quantity, ref)
                await mark_stock_taken(connection, ref, taken=True)
        parcel = ShipmentRequest(
            reference=ref.idempotency_key,
            to=line.shipping_address,
            sku=row.sku,
            quantity=row.quantity,
            weight_grams=row.weight_grams,
        )
        return parcel, row.stock_taken

    async def _release(self, ref: FulfillmentRef, parcel: ShipmentRequest) -> None:
        async with self._database.transaction() as connection:
            if await mark_stock_taken(connection, ref, taken=False):
                await stock.put_back(connection, parcel.sku, parcel.quantity, ref)
