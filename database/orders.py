"""Orders, their line items and the state of each fulfillment.

`save_checkout` and `lock_order` lock the order's row; what decides by the states of several
rows calls one of them first.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, case, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import fulfillments, line_items, orders
from domain.catalog import UNASSIGNED
from domain.checkout import Address, CheckoutSession, Payment, PaymentStatus
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import (
    CLOSED_STATES,
    SETTLED_STATES,
    Fulfillment,
    FulfillmentState,
    OrderState,
    PlannedFulfillment,
    next_state,
)

_SETTLING = (PaymentStatus.PAID, PaymentStatus.NO_PAYMENT_REQUIRED)


async def save_checkout(
    connection: AsyncConnection, session: CheckoutSession, payment: Payment
) -> tuple[OrderState, bool]:
    """Records what Stripe says of a session; the first time makes its one row.

    Returns:
        The state that the order has now, and whether it was recorded before.
    """
    values = {
        "livemode": session.livemode,
        "mode": session.mode,
        "payment_status": session.payment_status,
        "payment_intent_id": session.payment_intent_id,
        "payment_method_types": list(session.payment_method_types),
        "currency": session.total.currency if session.total else None,
        "amount_subtotal_minor": _minor(session.subtotal),
        "amount_tax_minor": _minor(session.tax),
        "amount_shipping_minor": _minor(session.shipping),
        "amount_discount_minor": _minor(session.discount),
        "amount_total_minor": _minor(session.total),
        "customer_email": session.customer_email,
        "customer_name": session.customer_name,
        "locale": session.locale,
        "shipping_address": (
            session.shipping_address.model_dump() if session.shipping_address else None
        ),
        "client_reference_id": session.client_reference_id,
        "stripe_metadata": session.metadata,
        "checkout_created_at": session.created,
    }
    state = next_state(None, payment)
    closed_at: ColumnElement[Any] | None = func.now() if state in CLOSED_STATES else None
    inserted = await connection.scalar(
        insert(orders)
        .values(session_id=session.id, state=state, closed_at=closed_at, **values)
        .on_conflict_do_nothing()
        .returning(orders.c.session_id)
    )
    if inserted is None:
        state = next_state(await lock_order(connection, session.id), payment)
        closed_at = (
            func.coalesce(orders.c.closed_at, func.now()) if state in CLOSED_STATES else None
        )
        await connection.execute(
            update(orders)
            .where(orders.c.session_id == session.id)
            .values(state=state, closed_at=closed_at, **values)
        )
    known = inserted is None
    if session.line_items:
        await connection.execute(
            insert(line_items)
            .values(
                [
                    {
                        "session_id": session.id,
                        "line_item_id": item.id,
                        "position": position,
                        "description": item.description,
                        "quantity": item.quantity,
                        "amount_subtotal_minor": item.subtotal.amount_minor,
                        "amount_total_minor": item.total.amount_minor,
                        "currency": item.total.currency,
                        "price_id": item.price_id,
                        "product_id": item.product_id,
                    }
                    for position, item in enumerate(session.line_items)
                ]
            )
            .on_conflict_do_nothing()
        )
    return state, known


async def lock_order(connection: AsyncConnection, session_id: str) -> OrderState | None:
    """Locks an order's row until the transaction ends; None when there is no such order."""
    state = await connection.scalar(
        select(orders.c.state).where(orders.c.session_id == session_id).with_for_update()
    )
    return None if state is None else OrderState(state)


async def save_plan(
    connection: AsyncConnection, session_id: str, planned: Iterable[PlannedFulfillment]
) -> tuple[Fulfillment, ...]:
    """Records how line items are to be fulfilled; what is recorded already stays as it is."""
    fresh = tuple(
        Fulfillment(**plan.model_dump(), state=FulfillmentState.PENDING) for plan in planned
    )
    if fresh:
        rows = [
            {
                "session_id": session_id,
                "line_item_id": plan.line_item_id,
                "kind": plan.kind,
                "state": plan.state,
                "parameters": plan.parameters,
            }
            for plan in fresh
        ]
        await connection.execute(insert(fulfillments).values(rows).on_conflict_do_nothing())
    return fresh


async def replace_plan(
    connection: AsyncConnection,
    session_id: str,
    line_item_id: str,
    planned: Iterable[PlannedFulfillment],
) -> None:
    """Plans one line item anew: what is not settled there takes the new parameters.

    A line item that was unassigned gets its fulfillments; other fulfillments stay, because
    their effects may have begun.
    """
    plans = tuple(planned)
    of_line = and_(
        fulfillments.c.session_id == session_id, fulfillments.c.line_item_id == line_item_id
    )
    if all(plan.kind != UNASSIGNED for plan in plans):
        await connection.execute(
            delete(fulfillments).where(of_line, fulfillments.c.kind == UNASSIGNED)
        )
    for plan in plans:
        await connection.execute(
            update(fulfillments)
            .where(
                of_line,
                fulfillments.c.kind == plan.kind,
                fulfillments.c.state.not_in(SETTLED_STATES),
            )
            .values(parameters=plan.parameters)
        )
    await save_plan(connection, session_id, plans)


async def read_plan(connection: AsyncConnection, session_id: str) -> tuple[Fulfillment, ...]:
    """All fulfillments of an order, in the order of its line items."""
    rows = await connection.execute(
        select(fulfillments)
        .join(line_items, _same_line())
        .where(fulfillments.c.session_id == session_id)
        .order_by(line_items.c.position, fulfillments.c.kind)
    )
    return tuple(
        Fulfillment(
            line_item_id=row.line_item_id,
            kind=row.kind,
            parameters=row.parameters,
            state=FulfillmentState(row.state),
            error=row.error,
            note=row.note,
        )
        for row in rows
    )


class ClaimedLine(BaseModel):
    """What delivering a line item needs to know, personal data included."""

    model_config = ConfigDict(frozen=True)

    state: FulfillmentState
    quantity: int
    customer_email: str | None
    shipping_address: Address | None


async def claim_line(connection: AsyncConnection, ref: FulfillmentRef) -> ClaimedLine:
    """Locks a fulfillment until the transaction ends; tells its state, item and buyer."""
    row = await connection.execute(
        select(
            fulfillments.c.state,
            line_items.c.quantity,
            orders.c.customer_email,
            orders.c.shipping_address,
        )
        .join(line_items, _same_line())
        .join(orders, orders.c.session_id == fulfillments.c.session_id)
        .where(_is(ref))
        .with_for_update(of=fulfillments)
    )
    return ClaimedLine.model_validate(row.one(), from_attributes=True)


async def mark_fulfillment(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    state: FulfillmentState,
    *,
    error: str | None = None,
    note: str | None = None,
) -> None:
    """Records how far a fulfillment came; one that was fulfilled stays so."""
    await connection.execute(
        update(fulfillments)
        .where(_is(ref), fulfillments.c.state != FulfillmentState.FULFILLED)
        .values(state=state, error=error, note=func.coalesce(note, fulfillments.c.note))
    )


async def mark_order_problem(
    connection: AsyncConnection, session_id: str, *, step: str, error: str
) -> None:
    """Records why a step that belongs to no line item is stuck, even before Stripe answered."""
    await connection.execute(
        insert(orders)
        .values(
            session_id=session_id, state=OrderState.ACTION_REQUIRED, error=error, error_step=step
        )
        .on_conflict_do_update(
            index_elements=[orders.c.session_id], set_={"error": error, "error_step": step}
        )
    )


async def clear_order_problem(connection: AsyncConnection, session_id: str) -> None:
    """Forgets what `mark_order_problem` recorded."""
    await connection.execute(
        update(orders).where(orders.c.session_id == session_id).values(error=None, error_step=None)
    )


async def refresh_state(connection: AsyncConnection, session_id: str) -> None:
    """Makes an open order action required when anything of it is, and only then."""
    stuck = exists().where(
        fulfillments.c.session_id == session_id,
        fulfillments.c.state == FulfillmentState.ACTION_REQUIRED,
    )
    await connection.execute(
        update(orders)
        .where(orders.c.session_id == session_id, orders.c.state.not_in(CLOSED_STATES))
        .values(
            state=case(
                (orders.c.error.is_not(None) | stuck, OrderState.ACTION_REQUIRED),
                (
                    orders.c.state == OrderState.ACTION_REQUIRED,
                    case(
                        (orders.c.payment_status.in_(_SETTLING), OrderState.FULFILLING),
                        else_=OrderState.AWAITING_PAYMENT,
                    ),
                ),
                else_=orders.c.state,
            )
        )
    )


async def close_order(connection: AsyncConnection, session_id: str, state: OrderState) -> None:
    """Ends an order in a closed state; one that was fulfilled stays as it is."""
    await connection.execute(
        update(orders)
        .where(orders.c.session_id == session_id, orders.c.state != OrderState.FULFILLED)
        .values(state=state, error=None, error_step=None, closed_at=func.now())
    )


def _same_line() -> ColumnElement[bool]:
    return and_(
        line_items.c.session_id == fulfillments.c.session_id,
        line_items.c.line_item_id == fulfillments.c.line_item_id,
    )


def _is(ref: FulfillmentRef) -> ColumnElement[bool]:
    return and_(
        fulfillments.c.session_id == ref.session_id,
        fulfillments.c.line_item_id == ref.line_item_id,
        fulfillments.c.kind == ref.kind,
    )


def _minor(money: Money | None) -> int | None:
    return money.amount_minor if money else None
