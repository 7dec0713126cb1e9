"""Shipments: one row per fulfillment, written before the carrier is called."""

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.tables import shipments
from domain.ids import FulfillmentRef
from domain.shipping import BookedShipment


class ShipmentRow(BaseModel):
    """What is recorded of a shipment, as far as booking it needs to know."""

    model_config = ConfigDict(frozen=True)

    sku: str
    quantity: int
    weight_grams: int


_STOCK = (shipments.c.sku, shipments.c.quantity, shipments.c.weight_grams)
_INSERT = insert(shipments)
_CLAIM = _INSERT.on_conflict_do_update(
    index_elements=[shipments.c.session_id, shipments.c.line_item_id, shipments.c.kind],
    set_={
        column.name: _INSERT.excluded[column.name] for column in (*_STOCK, shipments.c.stock_taken)
    },
    where=shipments.c.stock_taken.is_(False),
).returning(shipments.c.session_id)
_IS_SHIPMENT = is_fulfillment(shipments)
_READ = select(*_STOCK).where(_IS_SHIPMENT)
_RELEASE = (
    update(shipments)
    .where(_IS_SHIPMENT, shipments.c.stock_taken, shipments.c.carrier_shipment_id.is_(None))
    .values(stock_taken=False)
    .returning(*_STOCK)
)
_MARK_BOOKED = (
    update(shipments)
    .where(_IS_SHIPMENT)
    .values(
        carrier_shipment_id=bindparam("booked_id"),
        carrier=bindparam("booked_carrier"),
        tracking_number=bindparam("booked_tracking_number"),
        tracking_url=bindparam("booked_tracking_url"),
    )
)


async def claim_stock(connection: AsyncConnection, ref: FulfillmentRef, row: ShipmentRow) -> bool:
    """Writes the row of a shipment and says that it holds stock, which is now to be taken.

    A shipment whose stock was put back takes the SKU and weight that are given now, so that
    an operator's retry follows a corrected catalog.

    Returns:
        False when the shipment holds its stock already, from an earlier try.
    """
    values = {**ref.model_dump(), **row.model_dump(), "stock_taken": True}
    claimed = await connection.scalar(_CLAIM, values)
    return claimed is not None


async def read_shipment(connection: AsyncConnection, ref: FulfillmentRef) -> ShipmentRow:
    """What an earlier try recorded."""
    row = await connection.execute(_READ, naming(ref))
    return ShipmentRow.model_validate(row.one(), from_attributes=True)


async def release_stock(connection: AsyncConnection, ref: FulfillmentRef) -> ShipmentRow | None:
    """Says that a shipment holds no stock any more.

    Returns:
        What it held, which is to be put back; None when it held nothing, or is booked.
    """
    row = await connection.execute(_RELEASE, naming(ref))
    held = row.one_or_none()
    return None if held is None else ShipmentRow.model_validate(held, from_attributes=True)


async def mark_booked(
    connection: AsyncConnection, ref: FulfillmentRef, booked: BookedShipment
) -> None:
    """Records what the carrier answered."""
    answer = {f"booked_{name}": value for name, value in booked.model_dump().items()}
    await connection.execute(_MARK_BOOKED, {**naming(ref), **answer})
