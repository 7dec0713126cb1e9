"""Shipments: one row per fulfillment, which says whether it holds stock."""

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Integer, Table, Text, and_, bindparam, exists, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SAME_LINE, is_fulfillment, naming, of_fulfillment
from database.locks import lock_fulfillment
from database.orders import refuse_reversed
from database.reservations import ReservationState
from database.tables import (
    backorders,
    fulfillments,
    line_items,
    orders,
    questions,
    shipments,
    stock_reservations,
)
from domain.checkout import Address
from domain.ids import FulfillmentRef
from domain.orders import FulfillmentState


class ShipmentRow(BaseModel):
    """What was sold."""

    model_config = ConfigDict(frozen=True)

    sku: str
    quantity: int
    weight_grams: int
    """Of one piece."""
    parts: dict[str, int]
    """Pieces of each SKU in one piece."""


class ClaimedShipment(BaseModel):
    """What shipping a line item needs to know, personal data included."""

    model_config = ConfigDict(frozen=True)

    state: FulfillmentState
    quantity: int
    shipping_address: Address | None
    phone: str | None
    holds_stock: bool | None
    """Whether an earlier try has taken its stock; None when there was none."""
    is_reserved: bool
    is_queued: bool
    """Whether it waits for stock."""
    is_asked: bool
    """Whether the customer was asked something about it."""


def _has(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(of_fulfillment(table), *conditions)


_CLAIM = (
    select(
        fulfillments.c.state,
        fulfillments.c.held,
        orders.c.on_hold,
        (line_items.c.quantity - fulfillments.c.reversed).label("quantity"),
        orders.c.shipping_address,
        orders.c.collected["phone"].astext.label("phone"),
        shipments.c.stock_taken.label("holds_stock"),
        _has(stock_reservations, stock_reservations.c.state == ReservationState.HELD).label(
            "is_reserved"
        ),
        _has(backorders).label("is_queued"),
        _has(questions).label("is_asked"),
    )
    .join(line_items, SAME_LINE)
    .join(orders, orders.c.session_id == fulfillments.c.session_id)
    .outerjoin(shipments, of_fulfillment(shipments))
    .where(is_fulfillment(fulfillments))
)
_INSERT = insert(shipments).values(
    session_id=bindparam("session_id"),
    line_item_id=bindparam("line_item_id"),
    kind=bindparam("kind"),
    sku=bindparam("shipment_sku", type_=Text),
    quantity=bindparam("shipment_quantity", type_=Integer),
    weight_grams=bindparam("shipment_weight_grams", type_=Integer),
    stock_taken=True,
    parts=bindparam("shipment_parts", type_=JSONB),
)
SAVED = _INSERT.on_conflict_do_update(
    index_elements=list(shipments.primary_key),
    set_={
        column.name: _INSERT.excluded[column.name]
        for column in (
            shipments.c.sku,
            shipments.c.quantity,
            shipments.c.weight_grams,
            shipments.c.stock_taken,
            shipments.c.parts,
        )
    },
).cte("saved")
"""Writes the row of a shipment that has taken its stock, as part of another statement.

One whose stock was put back takes the SKU and weight that are given now, so that an operator's
retry follows a corrected catalog.
"""
_RELEASE = (
    update(shipments)
    .where(is_fulfillment(shipments), shipments.c.stock_taken)
    .values(stock_taken=False)
)
_READ_PARTS = select(shipments.c.parts).where(is_fulfillment(shipments))
_EXPECTED = (
    select(line_items.c.quantity, orders.c.shipping_address["country"].astext.label("country"))
    .join(orders, orders.c.session_id == line_items.c.session_id)
    .where(
        and_(
            line_items.c.session_id == bindparam("of_session"),
            line_items.c.line_item_id == bindparam("of_line_item"),
        )
    )
)


class ExpectedShipment(BaseModel):
    """What is known of a shipment before its order is paid."""

    model_config = ConfigDict(frozen=True)

    quantity: int
    country: str | None


async def claim_shipment(connection: AsyncConnection, ref: FulfillmentRef) -> ClaimedShipment:
    """Locks a fulfillment until the transaction ends, and tells all about shipping it.

    Raises:
        ReversedError: The money went back: there is nothing to ship any more.
        HeldError: The money may go back: nothing is shipped until that is known.
    """
    # First, by itself: a statement that waits for a lock sees the other tables as they were before.
    await lock_fulfillment(connection, ref)
    row = (await connection.execute(_CLAIM, naming(ref))).one()
    refuse_reversed(row.state, held=row.held, on_hold=row.on_hold)
    return ClaimedShipment.model_validate(row, from_attributes=True)


async def read_expected(connection: AsyncConnection, ref: FulfillmentRef) -> ExpectedShipment:
    """What a line item will need, should its payment come."""
    names = {"of_session": ref.session_id, "of_line_item": ref.line_item_id}
    row = await connection.execute(_EXPECTED, names)
    return ExpectedShipment.model_validate(row.one(), from_attributes=True)


async def read_parts(connection: AsyncConnection, ref: FulfillmentRef) -> dict[str, int]:
    """Pieces of each SKU in one piece of what was sold; empty before stock was taken for it."""
    parts: dict[str, int] | None = await connection.scalar(_READ_PARTS, naming(ref))
    return parts or {}


async def mark_stock_released(connection: AsyncConnection, ref: FulfillmentRef) -> bool:
    """Says that a shipment holds no stock any more; False when it held none."""
    return (await connection.execute(_RELEASE, naming(ref))).rowcount > 0
