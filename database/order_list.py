"""Finding orders: those that operators ask for, each in a few words."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    and_,
    bindparam,
    func,
    select,
    union,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import (
    fulfillments,
    is_unsettled,
    license_keys,
    order_created_at,
    orders,
    parcels,
    refund_requests,
    reversals,
)
from domain.licenses import normal_form
from domain.money import Money
from domain.orders import OPEN_STATES, FulfillmentState, OrderState
from domain.refunds import RefundState

_FOR_OPERATORS = fulfillments.c.state.in_(
    (FulfillmentState.ACTION_REQUIRED, FulfillmentState.AWAITING_OPERATOR)
)
_IS_UNDECIDED = and_(reversals.c.problem.is_not(None), reversals.c.counts)
_IS_REFUSED = and_(refund_requests.c.state == RefundState.REQUESTED, refund_requests.c.refusals > 0)
_NEEDS_ATTENTION: CompoundSelect[Any] = union(
    select(orders.c.session_id).where(orders.c.error.is_not(None)),
    select(fulfillments.c.session_id)
    .join(orders, orders.c.session_id == fulfillments.c.session_id)
    .where(_FOR_OPERATORS, orders.c.state.in_(OPEN_STATES)),
    select(reversals.c.session_id).where(_IS_UNDECIDED),
    select(refund_requests.c.session_id).where(_IS_REFUSED),
    # What is being taken back is here for a moment, what only a person can, until it is.
    select(fulfillments.c.session_id).where(is_unsettled),
)
_OF_ORDER = fulfillments.c.session_id == orders.c.session_id
_PROBLEM = func.coalesce(
    orders.c.error,
    select(fulfillments.c.error)
    .where(_OF_ORDER, fulfillments.c.error.is_not(None))
    .limit(1)
    .scalar_subquery(),
    select(reversals.c.problem)
    .where(reversals.c.session_id == orders.c.session_id, _IS_UNDECIDED)
    .limit(1)
    .scalar_subquery(),
    select(func.concat("refund_refused: ", refund_requests.c.id))
    .where(refund_requests.c.session_id == orders.c.session_id, _IS_REFUSED)
    .limit(1)
    .scalar_subquery(),
)
_SUMMARY = select(
    orders.c.session_id,
    orders.c.state,
    orders.c.on_hold,
    orders.c.session_id.in_(_NEEDS_ATTENTION).label("needs_attention"),
    _PROBLEM.label("problem"),
    orders.c.payment_status,
    orders.c.amount_total_minor,
    orders.c.currency,
    orders.c.customer_email,
    orders.c.account,
    order_created_at.label("created_at"),
    orders.c.closed_at,
).order_by(order_created_at.desc(), orders.c.session_id)


class OrderSummary(BaseModel):
    """An order in a few words."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    state: OrderState
    on_hold: bool
    needs_attention: bool
    """Whether something of it waits for an operator."""
    problem: str | None
    payment_status: str | None
    total: Money | None
    customer_email: str | None
    account: str | None
    """The connected account that sells; None for our own."""
    created_at: datetime
    closed_at: datetime | None


class OrderFilter(BaseModel):
    """Which orders; all that is given has to be so."""

    model_config = ConfigDict(frozen=True)

    session_ids: tuple[str, ...] | None = None
    states: tuple[OrderState, ...] = ()
    needs_attention: bool = False
    on_hold: bool = False
    account: str | None = None
    since: datetime | None = None
    """Created then or later."""
    until: datetime | None = None
    """Created before then."""


async def list_orders(
    connection: AsyncConnection, wanted: OrderFilter, limit: int
) -> tuple[OrderSummary, ...]:
    """The newest orders that are wanted, the newest first."""
    statement = _SUMMARY.where(*_conditions(wanted)).limit(limit)
    return tuple(_summary(row) for row in await connection.execute(statement))


async def count_orders(connection: AsyncConnection, wanted: OrderFilter) -> int:
    """How many orders are wanted."""
    statement = select(func.count()).select_from(orders).where(*_conditions(wanted))
    return int(await connection.scalar(statement) or 0)


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.session_ids is not None:
        conditions.append(orders.c.session_id.in_(wanted.session_ids))
    if wanted.states:
        conditions.append(orders.c.state.in_(wanted.states))
    if wanted.needs_attention:
        conditions.append(orders.c.session_id.in_(_NEEDS_ATTENTION))
    if wanted.on_hold:
        conditions.append(orders.c.on_hold)
    if wanted.account:
        conditions.append(orders.c.account == wanted.account)
    if wanted.since:
        conditions.append(order_created_at >= wanted.since)
    if wanted.until:
        conditions.append(order_created_at < wanted.until)
    return conditions


_TEXT: BindParameter[str] = bindparam("text")
_NAMED_SO: tuple[Select[tuple[str]], ...] = (
    select(orders.c.session_id).where(orders.c.session_id == _TEXT),
    select(orders.c.session_id).where(func.lower(orders.c.customer_email) == func.lower(_TEXT)),
    select(orders.c.session_id).where(orders.c.payment_intent_id == _TEXT),
    select(orders.c.session_id).where(orders.c.subscription_id == _TEXT),
    select(orders.c.session_id).where(orders.c.customer_id == _TEXT),
    select(orders.c.session_id).where(orders.c.client_reference_id == _TEXT),
    select(reversals.c.session_id).where(reversals.c.id == _TEXT),
    select(refund_requests.c.session_id).where(refund_requests.c.id == _TEXT),
    select(parcels.c.session_id).where(parcels.c.tracking_number == _TEXT),
    select(parcels.c.session_id).where(parcels.c.reference == _TEXT),
    select(license_keys.c.session_id).where(
        license_keys.c.key == bindparam("key"), license_keys.c.session_id.is_not(None)
    ),
)
_FIND = union(*_NAMED_SO)


async def find_orders(
    connection: AsyncConnection, text: str, limit: int
) -> tuple[OrderSummary, ...]:
    """The orders that a text names, whole, the newest first.

    Args:
        connection: Within whose transaction.
        text: The customer's mail address or ID; the ID of a Checkout Session, payment,
            subscription, refund or dispute; the merchant's own order number, as Checkout's
            `client_reference_id`; a tracking number; a license key.
        limit: How many at most.
    """
    found = await connection.execute(_FIND, {_TEXT.key: text, "key": normal_form(text)})
    session_ids = tuple(found.scalars())
    return await list_orders(connection, OrderFilter(session_ids=session_ids), limit)


def _summary(row: Row[Any]) -> OrderSummary:
    amount_minor, currency = row.amount_total_minor, row.currency
    has_total = amount_minor is not None and currency is not None
    return OrderSummary.model_validate(
        {
            **row._mapping,  # noqa: SLF001 - public, in spite of its name
            "total": Money(amount_minor=amount_minor, currency=currency) if has_total else None,
        }
    )
