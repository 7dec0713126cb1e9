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
    stock_taken: bool


async def claim_shipment(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    *,
    sku: str,
    quantity: int,
    weight_grams: int,
) -> ShipmentRow:
    """Writes the row of a shipment and locks it until the transaction ends.

    While no stock is taken the row follows the newest SKU and weight, so that an operator's
    retry after a correction of the catalog takes the corrected SKU.
    """
    values = {"sku": sku, "quantity": quantity, "weight_grams": weight_grams}
    await connection.execute(
        insert(shipments)
        .values(
            session_id=ref.session_id,
            line_item_id=ref.line_item_id,
            kind=ref.kind,
            stock_taken=False,
            **values,
        )
        .on_conflict_do_update(
            index_elements=[shipments.c.session_id, shipments.c.line_item_id, shipments.c.kind],
            set_=values,
            where=shipments.c.stock_taken.is_(False),
        )
    )
    row = (
        await connection.execute(
            select(
                shipments.c.sku,
                shipments.c.quantity,
                shipments.c.weight_grams,
                shipments.c.stock_taken,
            )
            .where(_is(ref))
            .with_for_update()
        )
    ).one()
    return ShipmentRow.model_validate(row, from_attributes=True)


async def mark_stock_taken(
    connection: AsyncConnection, ref: FulfillmentRef, *, taken: bool
) -> bool:
    """Records whether a shipment holds stock; False when it was recorded so already."""
    changed = await connection.scalar(
        update(shipments)
        .where(
            _is(ref),
            shipments.c.stock_taken.is_(not taken),
            shipments.c.carrier_shipment_id.is_(None),
        )
        .values(stock_taken=taken)
        .returning(shipments.c.session_id)
    )
    return changed is not None


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
