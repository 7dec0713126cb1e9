"""Orders, their line items and the state of each fulfillment.

`save_checkout` and `lock_order` lock the order's row; what decides by the states of several
rows calls one of them first.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.erasure import PERSONAL
from database.keys import SAME_LINE, SESSION, is_fulfillment, naming
from database.reservations import release
from database.tables import fulfillments, line_items, orders
from domain.catalog import UNASSIGNED
from domain.checkout import (
    Address,
    CheckoutSession,
    Payment,
    PaymentStatus,
    SessionStatus,
    mismatch_of,
)
from domain.errors import HeldError, ReversedError
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import (
    CLOSED_STATES,
    LOST_STATES,
    OPEN_STATES,
    SETTLED_STATES,
    Deliverable,
    Fulfillment,
    FulfillmentState,
    OrderState,
    PlannedFulfillment,
    ended_as,
    next_state,
)

_SETTLING = (PaymentStatus.PAID, PaymentStatus.NO_PAYMENT_REQUIRED)

_IS_ERASED = select(orders.c.erased_at.is_not(None)).where(orders.c.session_id == SESSION)
_IS_ADDRESS_CHANGED = select(orders.c.address_changed_at.is_not(None)).where(
    orders.c.session_id == SESSION
)
_INSERT_ORDER = insert(orders).on_conflict_do_nothing().returning(orders.c.session_id)


async def save_checkout(
    connection: AsyncConnection,
    session: CheckoutSession,
    payment: Payment,
    *,
    foreign: bool = False,
) -> tuple[OrderState, bool]:
    """Records what Stripe says of a session; the first time makes its one row.

    Args:
        connection: Within whose transaction.
        session: What Stripe says.
        payment: What that means.
        foreign: Whether none of it is ours to fulfill.

    Returns:
        The state that the order has now, and whether it was recorded before.
    """
    values = {
        "mismatch": mismatch_of(session),
        "account": session.account,
        "livemode": session.livemode,
        "mode": session.mode,
        "payment_status": session.payment_status,
        "payment_intent_id": session.payment_intent_id,
        "subscription_id": session.subscription_id,
        "payment_link_id": session.payment_link_id,
        "payment_method": _json(session.payment_method),
        "payment_method_types": list(session.payment_method_types),
        "currency": session.total.currency if session.total else None,
        "amount_subtotal_minor": _minor(session.subtotal),
        "amount_tax_minor": _minor(session.tax),
        "amount_shipping_minor": _minor(session.shipping),
        "amount_discount_minor": _minor(session.discount),
        "amount_total_minor": _minor(session.total),
        "presentment_amount_minor": _minor(session.presentment),
        "presentment_currency": session.presentment.currency if session.presentment else None,
        "customer_id": session.customer_id,
        "customer_email": session.customer_email,
        "customer_name": session.customer_name,
        "collected": _json(session.collected),
        "custom_fields": [field.model_dump() for field in session.custom_fields],
        "locale": session.locale,
        "shipping_address": _json(session.shipping_address),
        "client_reference_id": session.client_reference_id,
        "stripe_metadata": session.metadata,
        "checkout_created_at": session.created,
    }
    state = next_state(None, payment, foreign=foreign)
    closed_at = datetime.now(UTC) if state in CLOSED_STATES else None
    inserted = await connection.scalar(
        _INSERT_ORDER,
        {"session_id": session.id, "state": state, "closed_at": closed_at, **values},
    )
    if inserted is None:
        current = await lock_order(connection, session.id)
        state = next_state(current, payment, foreign=foreign)
        if current is OrderState.UNKNOWN_SESSION:
            values |= {"error": None, "error_step": None}
        if await connection.scalar(_IS_ERASED, {SESSION.key: session.id}):
            # What was erased does not come back from Stripe.
            values = {name: value for name, value in values.items() if name not in PERSONAL}
        elif await connection.scalar(_IS_ADDRESS_CHANGED, {SESSION.key: session.id}):
            # Where it goes is the latest word, not what Checkout once heard.
            del values["shipping_address"], values["collected"]
        closed = func.coalesce(orders.c.closed_at, func.now()) if state in CLOSED_STATES else None
        await connection.execute(
            update(orders)
            .where(orders.c.session_id == session.id)
            .values(state=state, closed_at=closed, **values)
        )
        if state in LOST_STATES:
            await release(connection, session.id)
    known = inserted is None
    # Those of an open session may change until it is paid.
    if session.line_items and session.status is not SessionStatus.OPEN:
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
                        "quantity_offer": _json(item.quantity_offer),
                        "amount_subtotal_minor": item.subtotal.amount_minor,
                        "amount_discount_minor": _minor(item.discount),
                        "amount_tax_minor": _minor(item.tax),
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


async def set_hold(connection: AsyncConnection, session_id: str, *, on_hold: bool) -> bool:
    """Records whether an operator holds an order; False when it stood so before."""
    changed = await connection.execute(
        update(orders)
        .where(orders.c.session_id == session_id, orders.c.on_hold != on_hold)
        .values(on_hold=on_hold)
    )
    return changed.rowcount > 0


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
        fulfillments.c.held,
        orders.c.on_hold,
        (line_items.c.quantity - fulfillments.c.reversed).label("quantity"),
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
    .where(
        _IS_FULFILLMENT,
        fulfillments.c.state.not_in((FulfillmentState.FULFILLED, FulfillmentState.REVERSED)),
    )
    .values(
        state=bindparam("new_state"),
        fulfilled_at=case(
            (
                bindparam("new_state") == FulfillmentState.FULFILLED,
                func.coalesce(fulfillments.c.fulfilled_at, func.now()),
            ),
            else_=fulfillments.c.fulfilled_at,
        ),
        error=bindparam("new_error"),
        by_hand=or_(fulfillments.c.by_hand, bindparam("new_by_hand", type_=Boolean)),
        note=func.coalesce(bindparam("new_note", type_=Text), fulfillments.c.note),
        delivered=func.coalesce(
            bindparam("new_delivered", type_=JSONB(none_as_null=True)), fulfillments.c.delivered
        ),
    )
)
_CLOSE = (
    update(orders)
    .where(
        orders.c.session_id == SESSION,
        orders.c.state.not_in((OrderState.FULFILLED, OrderState.REVERSED)),
    )
    .values(state=bindparam("new_state"), closed_at=func.now())
)
_READ_FULFILLMENT_STATE = select(fulfillments.c.state).where(_IS_FULFILLMENT)
_READ_FULFILLMENT_STATES = select(fulfillments.c.state).where(fulfillments.c.session_id == SESSION)
_READ_ACCOUNT = select(orders.c.account).where(orders.c.session_id == SESSION)


class OpenOrder(BaseModel):
    """Names an order that is not done."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    account: str | None


class ClaimedLine(BaseModel):
    """What delivering a line item needs to know, personal data included."""

    model_config = ConfigDict(frozen=True)

    state: FulfillmentState
    quantity: int
    """Pieces that were bought and are not reversed."""
    customer_email: str | None
    shipping_address: Address | None


def refuse_reversed(state: str, *, held: bool, on_hold: bool) -> None:
    """Refuses to deliver what was reversed, or has to wait; for what is done there is no reason.

    Raises:
        ReversedError: The money went back.
        HeldError: The money may go back, or an operator holds the order.
    """
    if state == FulfillmentState.REVERSED:
        raise ReversedError
    if (held or on_hold) and state != FulfillmentState.FULFILLED:
        raise HeldError(by_operator=not held)


async def claim_line(connection: AsyncConnection, ref: FulfillmentRef) -> ClaimedLine:
    """Locks a fulfillment until the transaction ends; tells its state, item and buyer.

    Raises:
        ReversedError: The money went back: there is nothing to deliver any more.
        HeldError: The money may go back: nothing is delivered until that is known.
    """
    row = (await connection.execute(_CLAIM_LINE, naming(ref))).one()
    refuse_reversed(row.state, held=row.held, on_hold=row.on_hold)
    return ClaimedLine.model_validate(row, from_attributes=True)


async def mark_fulfillment(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    state: FulfillmentState,
    *,
    error: str | None = None,
    note: str | None = None,
    delivered: Iterable[Deliverable] = (),
    by_hand: bool = False,
) -> None:
    """Records how far a fulfillment came, what the customer has, and whether a person did it.

    Once fulfilled it stays so, and once reversed: see `database.reversals`.
    """
    await connection.execute(
        _MARK,
        {
            **naming(ref),
            "new_state": state,
            "new_error": error,
            "new_note": note,
            "new_by_hand": by_hand,
            "new_delivered": [each.model_dump(mode="json") for each in delivered] or None,
        },
    )


async def read_fulfillment_state(
    connection: AsyncConnection, ref: FulfillmentRef
) -> FulfillmentState | None:
    """Where a fulfillment stands; None where it is not planned any more."""
    state = await connection.scalar(_READ_FULFILLMENT_STATE, naming(ref))
    return None if state is None else FulfillmentState(state)


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


async def clear_order_problem(connection: AsyncConnection, session_id: str, step: str) -> None:
    """Forgets what `mark_order_problem` recorded of this step; others may be stuck too."""
    await connection.execute(
        update(orders)
        .where(orders.c.session_id == session_id, orders.c.error_step == step)
        .values(error=None, error_step=None)
    )


async def refresh_state(connection: AsyncConnection, session_id: str) -> None:
    """Makes an open order's state follow from those of its fulfillments.

    It is action required when anything of it is, and only then; partially fulfilled when some of
    it is delivered and some is not.
    """

    def has(*states: FulfillmentState) -> ColumnElement[bool]:
        return exists().where(
            fulfillments.c.session_id == session_id, fulfillments.c.state.in_(states)
        )

    stuck = has(FulfillmentState.ACTION_REQUIRED)
    partly = has(FulfillmentState.FULFILLED) & has(*set(FulfillmentState) - SETTLED_STATES)
    await connection.execute(
        update(orders)
        .where(orders.c.session_id == session_id, orders.c.state.not_in(CLOSED_STATES))
        .values(
            state=case(
                (orders.c.error.is_not(None) | stuck, OrderState.ACTION_REQUIRED),
                (
                    func.coalesce(orders.c.payment_status, "").not_in(_SETTLING),
                    OrderState.AWAITING_PAYMENT,
                ),
                (partly, OrderState.PARTIALLY_FULFILLED),
                else_=OrderState.FULFILLING,
            )
        )
    )


async def close_order(
    connection: AsyncConnection, session_id: str, state: OrderState
) -> OrderState | None:
    """Ends an order in a closed state; lock it first. One that has ended stays as it is.

    What is held for a delayed payment goes back to stock when none is expected any more. One to
    be closed as fulfilled of which everything was reversed is closed as that.

    Returns:
        The state it is closed in; None where there is something to deliver after all, since a
        reversal was undone in between.
    """
    if state is OrderState.FULFILLED:
        rows = await connection.scalars(_READ_FULFILLMENT_STATES, {SESSION.key: session_id})
        states = {FulfillmentState(each) for each in rows}
        if states - SETTLED_STATES:
            return None
        state = ended_as(states)
    await connection.execute(_CLOSE, {SESSION.key: session_id, "new_state": state})
    if state in LOST_STATES:
        await release(connection, session_id)
    return state


async def save_unknown(
    connection: AsyncConnection, session_id: str, account: str | None, error: str
) -> bool:
    """Records that Stripe knows no such session.

    Returns:
        False when Stripe once knew it: then it is our key that has changed, not the order.
    """
    await connection.execute(
        insert(orders)
        .values(
            session_id=session_id,
            account=account,
            state=OrderState.UNKNOWN_SESSION,
            error=error,
            closed_at=func.now(),
        )
        .on_conflict_do_update(
            index_elements=[orders.c.session_id],
            set_={"state": OrderState.UNKNOWN_SESSION, "error": error, "closed_at": func.now()},
            where=orders.c.checkout_created_at.is_(None),
        )
    )
    return await lock_order(connection, session_id) is OrderState.UNKNOWN_SESSION


async def read_account(connection: AsyncConnection, session_id: str) -> str | None:
    """The connected account that a recorded order belongs to; None for our own."""
    account: str | None = await connection.scalar(_READ_ACCOUNT, {SESSION.key: session_id})
    return account


async def read_states(
    connection: AsyncConnection, session_ids: Collection[str]
) -> dict[str, OrderState]:
    """The states of those of these orders that are recorded.

    One that needs an operator before it was paid counts as awaiting its payment.
    """
    rows = await connection.execute(
        select(orders.c.session_id, orders.c.state, orders.c.payment_status).where(
            orders.c.session_id.in_(session_ids)
        )
    )
    return {
        row.session_id: OrderState.AWAITING_PAYMENT
        if row.state == OrderState.ACTION_REQUIRED and row.payment_status not in _SETTLING
        else OrderState(row.state)
        for row in rows
    }


async def read_open(
    connection: AsyncConnection, after: str, quiet_for: timedelta, limit: int
) -> list[OpenOrder]:
    """Orders that are not done and have not changed for a while, by session ID.

    Args:
        connection: Within whose transaction.
        after: The session ID after which to begin; empty for the first.
        quiet_for: How long nothing must have happened to an order.
        limit: The most to return.
    """
    rows = await connection.execute(
        select(orders.c.session_id, orders.c.account)
        .where(
            orders.c.state.in_(OPEN_STATES),
            orders.c.session_id > after,
            orders.c.updated_at < func.now() - quiet_for,
        )
        .order_by(orders.c.session_id)
        .limit(limit)
    )
    return [OpenOrder.model_validate(row, from_attributes=True) for row in rows]


def _json(value: BaseModel | None) -> dict[str, Any] | None:
    return value.model_dump() if value else None


def _minor(money: Money | None) -> int | None:
    return money.amount_minor if money else None
