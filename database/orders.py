"""Orders, their line items and the state of each fulfillment.

`save_checkout` and `lock_order` lock the order's row; what decides by the states of several
rows calls one of them first.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Text, and_, bindparam, case, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SAME_LINE, SESSION, is_fulfillment, naming
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

_INSERT_ORDER = insert(orders).on_conflict_do_nothing().returning(orders.c.session_id)


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
    closed_at = datetime.now(UTC) if state in CLOSED_STATES else None
    inserted = await connection.scalar(
        _INSERT_ORDER,
        {"session_id": session.id, "state": state, "closed_at": closed_at, **values},
    )
    if inserted is None:
        state = next_state(await lock_order(connection, session.id), payment)
        closed = func.coalesce(orders.c.closed_at, func.now()) if state in CLOSED_STATES else None
        await connection.execute(
            update(orders)
            .where(orders.c.session_id == session.id)
            .values(state=state, closed_at=closed, **values)
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
        .join(line_items, SAME_LINE)
        .where(fulfillments.c.session_id == session_id)
        .order_by(line_items.c.position, fulfillments.c.kind)
    )
    return tuple(Fulfillment.model_validate(row, from_attributes=True) for row in rows)


_IS_FULFILLMENT = is_fulfillment(fulfillments)
_CLAIM_LINE = (
    select(
        fulfillments.c.state,
        line_items.c.quantity,
        orders.c.customer_email,
        orders.c.shipping_address,
    )
    .join(line_items, SAME_LINE)
    .join(orders, orders.c.session_id == fulfillments.c.session_id)
    .where(_IS_FULFILLMENT)
    .with_for_update(of=fulfillments)
)
_MARK = (
    update(fulfillments)
    .where(_IS_FULFILLMENT, fulfillments.c.state != FulfillmentState.FULFILLED)
    .values(
        state=bindparam("new_state"),
        error=bindparam("new_error"),
        note=func.coalesce(bindparam("new_note", type_=Text), fulfillments.c.note),
    )
)
_CLOSE = (
    update(orders)
    .where(orders.c.session_id == SESSION, orders.c.state != OrderState.FULFILLED)
    .values(state=bindparam("new_state"), error=None, error_step=None, closed_at=func.now())
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
    row = await connection.execute(_CLAIM_LINE, naming(ref))
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
        _MARK, {**naming(ref), "new_state": state, "new_error": error, "new_note": note}
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
    await connection.execute(_CLOSE, {SESSION.key: session_id, "new_state": state})


def _minor(money: Money | None) -> int | None:
    return money.amount_minor if money else None
