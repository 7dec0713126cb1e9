"""Erases the personal data of orders, while the books stay: amounts, line items, states, stock.

docs/data.md says what is kept where, and what an erasure leaves.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    UpdateBase,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal,
    null,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from database.audit import record_act
from database.tables import (
    access_log,
    emails,
    entitlements,
    fulfillments,
    license_activations,
    license_keys,
    messages,
    orders,
    parcels,
    refund_requests,
    service_calls,
    tracking_events,
)
from domain.messages import MessageState
from domain.orders import OrderState
from domain.services import FINAL_STATUSES, CallStatus

ERASED = "erased"
"""The act in the audit."""


class Buyer(BaseModel):
    """Whose orders: by the first of these that is given."""

    model_config = ConfigDict(frozen=True)

    session_id: str | None = None
    customer_id: str | None = None
    email: str | None = None


class FoundOrder(BaseModel):
    """An order of a customer's."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    state: OrderState
    erased_at: datetime | None


def _only(column: ColumnElement[Any], **kept: ColumnElement[Any]) -> ColumnElement[Any]:
    """What is left of a JSON object, where there is one."""
    parts = [part for name, value in kept.items() for part in (literal(name), value)]
    is_there = func.jsonb_typeof(column) == "object"
    return case((is_there, func.jsonb_build_object(*parts)), else_=null())


_BILLING = orders.c.collected["billing_address"]
PERSONAL: dict[str, ColumnElement[Any]] = {
    "customer_id": null(),
    "customer_email": null(),
    "customer_name": null(),
    "client_reference_id": null(),
    "custom_fields": null(),
    "stripe_metadata": null(),
    # Countries stay: taxes are due there.
    "collected": _only(
        orders.c.collected, billing_address=_only(_BILLING, country=_BILLING["country"])
    ),
    "shipping_address": _only(
        orders.c.shipping_address, country=orders.c.shipping_address["country"]
    ),
    "payment_method": _only(orders.c.payment_method, type=orders.c.payment_method["type"]),
}
"""The columns of `orders` with personal data, and what an erasure leaves there."""

_IDS: ColumnElement[Any] = bindparam("session_ids", type_=ARRAY(Text))
_FOUND = (
    select(orders.c.session_id, orders.c.state, orders.c.erased_at)
    .order_by(orders.c.session_id)
    .with_for_update()
)
_KEYS = select(license_keys.c.key).where(license_keys.c.session_id == any_(_IDS))
_REFERENCES = select(parcels.c.reference).where(parcels.c.session_id == any_(_IDS))
_ERASE: tuple[UpdateBase, ...] = (
    update(orders)
    .where(orders.c.session_id == any_(_IDS))
    .values(erased_at=func.coalesce(orders.c.erased_at, func.now()), **PERSONAL),
    update(fulfillments)
    .where(fulfillments.c.session_id == any_(_IDS))
    .values(delivered=[], note=None),
    update(entitlements)
    .where(entitlements.c.session_id == any_(_IDS))
    .values(customer_id=None, customer_email=None, client_reference_id=None),
    # What a machine is called may be its owner's name.
    delete(license_activations).where(license_activations.c.key.in_(_KEYS)),
    # The service is not to deliver anything more.
    update(service_calls)
    .where(service_calls.c.session_id == any_(_IDS), service_calls.c.status.not_in(FINAL_STATUSES))
    .values(status=CallStatus.ABANDONED),
    update(service_calls).where(service_calls.c.session_id == any_(_IDS)).values(delivered=[]),
    update(emails).where(emails.c.session_id == any_(_IDS)).values(recipient=None, problem=None),
    # What the application was not told yet, it is not told any more.
    update(messages)
    .where(messages.c.session_id == any_(_IDS), messages.c.state == MessageState.PENDING)
    .values(state=MessageState.FAILED),
    update(messages).where(messages.c.session_id == any_(_IDS)).values(data={}),
    update(access_log)
    .where(access_log.c.session_id == any_(_IDS))
    .values(ip=None, user_agent=None),
    update(refund_requests).where(refund_requests.c.session_id == any_(_IDS)).values(note=""),
    update(parcels)
    .where(parcels.c.session_id == any_(_IDS))
    .values(label_url=None, tracking_number=None, tracking_url=None),
    update(tracking_events)
    .where(tracking_events.c.reference.in_(_REFERENCES))
    .values(message=None),
)


async def find_orders(connection: AsyncConnection, buyer: Buyer) -> tuple[FoundOrder, ...]:
    """The orders of a customer, locked until the transaction ends."""
    rows = await connection.execute(_FOUND.where(_is_of(buyer)))
    return tuple(FoundOrder.model_validate(row, from_attributes=True) for row in rows)


def _is_of(buyer: Buyer) -> ColumnElement[bool]:
    if buyer.session_id is not None:
        return orders.c.session_id == buyer.session_id
    if buyer.customer_id is not None:
        return orders.c.customer_id == buyer.customer_id
    email = func.lower(buyer.email)
    return orders.c.session_id.in_(
        union(
            select(orders.c.session_id).where(func.lower(orders.c.customer_email) == email),
            # A mail may have been sent again, to another address.
            select(emails.c.session_id).where(func.lower(emails.c.recipient) == email),
        )
    )


async def erase(
    connection: AsyncConnection, found: Sequence[FoundOrder], *, by: str, detail: str
) -> None:
    """Erases the personal data of orders that are closed; a second time what came since.

    Args:
        connection: Within whose transaction; it has locked them.
        found: Which orders.
        by: Who erases.
        detail: Why, for the audit; no personal data.
    """
    session_ids = [order.session_id for order in found]
    for statement in _ERASE:
        await connection.execute(statement, {"session_ids": session_ids})
    for order in found:
        if order.erased_at is None:
            await record_act(connection, order.session_id, act=ERASED, by=by, detail=detail)
