"""Orders and fulfillments as flat rows; docs/data.md lists their columns."""

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, func, select, text
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SAME_LINE, of_fulfillment
from database.tables import fulfillments, line_items, order_created_at, orders, parcels

CHUNK_ROWS = 1000
"""So many are in memory at a time."""


class Export(StrEnum):
    """What can be exported."""

    ORDERS = "orders"
    FULFILLMENTS = "fulfillments"


def _part(column: Column[Any], name: str) -> ColumnElement[Any]:
    """One text of a JSON object."""
    part: ColumnElement[Any] = column[name].astext
    return part


_SHIPPING = [
    _part(orders.c.shipping_address, name).label(f"shipping_{name}")
    for name in ("name", "line1", "line2", "city", "state", "postal_code", "country")
]
_IN_ORDER = aggregate_order_by(text("' '"), parcels.c.number)
_TRACKING_NUMBERS = (
    select(func.string_agg(parcels.c.tracking_number, _IN_ORDER))
    .where(of_fulfillment(parcels))
    .scalar_subquery()
)
_ROWS: dict[Export, Select[Any]] = {
    Export.ORDERS: select(
        orders.c.session_id,
        order_created_at.label("created_at"),
        orders.c.state,
        orders.c.closed_at,
        orders.c.erased_at,
        orders.c.account,
        orders.c.livemode,
        orders.c.mode,
        orders.c.payment_status,
        _part(orders.c.payment_method, "type").label("payment_method"),
        orders.c.payment_intent_id,
        orders.c.subscription_id,
        orders.c.payment_link_id,
        orders.c.currency,
        orders.c.amount_subtotal_minor,
        orders.c.amount_discount_minor,
        orders.c.amount_shipping_minor,
        orders.c.amount_tax_minor,
        orders.c.amount_total_minor,
        orders.c.presentment_currency,
        orders.c.presentment_amount_minor,
        orders.c.customer_id,
        orders.c.customer_email,
        orders.c.customer_name,
        _part(orders.c.collected, "phone").label("customer_phone"),
        *_SHIPPING,
        orders.c.locale,
        orders.c.client_reference_id,
        orders.c.stripe_metadata.label("metadata"),
    ).order_by(order_created_at, orders.c.session_id),
    Export.FULFILLMENTS: select(
        orders.c.session_id,
        order_created_at.label("order_created_at"),
        line_items.c.line_item_id,
        fulfillments.c.kind,
        fulfillments.c.state,
        line_items.c.description,
        line_items.c.quantity,
        line_items.c.price_id,
        line_items.c.product_id,
        line_items.c.currency,
        line_items.c.amount_subtotal_minor,
        line_items.c.amount_discount_minor,
        line_items.c.amount_tax_minor,
        line_items.c.amount_total_minor,
        fulfillments.c.parameters,
        fulfillments.c.delivered,
        _TRACKING_NUMBERS.label("tracking_numbers"),
        fulfillments.c.error,
        fulfillments.c.note,
        fulfillments.c.created_at,
        fulfillments.c.updated_at,
        fulfillments.c.reversed,
        fulfillments.c.fulfilled_at,
    )
    .join(line_items, line_items.c.session_id == orders.c.session_id)
    .join(fulfillments, SAME_LINE)
    .order_by(order_created_at, orders.c.session_id, line_items.c.position, fulfillments.c.kind),
}


def columns(export: Export) -> tuple[str, ...]:
    """The names of the columns, in their order."""
    return tuple(_ROWS[export].selected_columns.keys())


async def stream_rows(
    connection: AsyncConnection,
    export: Export,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncIterator[tuple[Any, ...]]:
    """All rows, the oldest order first, read through a cursor in the server.

    Args:
        connection: Within whose transaction.
        export: Of what.
        since: Only of orders that were created then or later.
        until: Only of orders that were created before then.
    """
    statement = _ROWS[export]
    if since is not None:
        statement = statement.where(order_created_at >= since)
    if until is not None:
        statement = statement.where(order_created_at < until)
    options = {"yield_per": CHUNK_ROWS}
    async with connection.stream(statement, execution_options=options) as rows:
        async for row in rows:
            yield tuple(row)
