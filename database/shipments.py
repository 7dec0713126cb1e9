"""Shipments: one row per fulfillment, written before the carrier is called."""

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import shipments
from domain.ids import FulfillmentRef
from domain.shipping import BookedShipment


class ShipmentRow(BaseModel):
    """What is recorded of a shipment, as far as booking it needs to know."""

    model_config = ConfigDict(frozen=True)

    sku: str
    quantity: int
    weight_grams: int


async def claim_stock(connection: AsyncConnection, ref: FulfillmentRef, row: ShipmentRow) -> bool:
    """Writes the row of a shipment and says that it holds stock, which is now to be taken.

    A shipment whose stock was put back takes the SKU and weight that are given now, so that
    an operator's retry follows a corrected catalog.

    Returns:
        False when the shipment holds its stock already, from an earlier try.
    """
    values = {**row.model_dump(), "stock_taken": True}
    claimed = await connection.scalar(
        insert(shipments)
        .values(**ref.model_dump(), **values)
        .on_conflict_do_update(
            index_elements=[shipments.c.session_id, shipments.c.line_item_id, shipments.c.kind],
            set_=values,
            where=shipments.c.stock_taken.is_(False),
        )
        .returning(shipments.c.session_id)
    )
    return claimed is not None


async def read_shipment(connection: AsyncConnection, ref: FulfillmentRef) -> ShipmentRow:
    """What an earlier try recorded."""
    row = await connection.execute(
        select(shipments.c.sku, shipments.c.quantity, shipments.c.weight_grams).where(_is(ref))
    )
    return ShipmentRow.model_validate(row.one(), from_attributes=True)


async def release_stock(connection: AsyncConnection, ref: FulfillmentRef) -> ShipmentRow | None:
    """Says that a shipment holds no stock any more.

    Returns:
        What it held, which is to be put back; None when it held nothing, or is booked.
    """
    row = await connection.execute(
        update(shipments)
        .where(_is(ref), shipments.c.stock_taken, shipments.c.carrier_shipment_id.is_(None))
        .values(stock_taken=False)
        .returning(shipments.c.sku, shipments.c.quantity, shipments.c.weight_grams)
    )
    held = row.one_or_none()
    return None if held is None else ShipmentRow.model_validate(held, from_attributes=True)


async def mark_booked(
    connection: AsyncConnection, ref: FulfillmentRef, booked: BookedShipment
) -> None:
    """Records what the carrier answered."""
    await connection.execute(
        update(shipments)
        .where(_is(ref))
        .values(
            carrier_shipment_id=booked.id,
            carrier=booked.carrier,
            tracking_number=booked.tracking_number,
            tracking_url=booked.tracking_url,
        )
    )


def _is(ref: FulfillmentRef) -> ColumnElement[bool]:
    return and_(
        shipments.c.session_id == ref.session_id,
        shipments.c.line_item_id == ref.line_item_id,
        shipments.c.kind == ref.kind,
    )
