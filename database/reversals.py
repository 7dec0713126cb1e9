"""Refunds, disputes and early fraud warnings, and where they bring each fulfillment to.

What is recorded here says where a fulfillment is to come to: `fulfillments.reversed` pieces are to
be taken back, or not to be delivered. Each kind then sees to it that they are, and notes so in
`fulfillments.taken_back`. Both lock the fulfillment's row, as every delivery does.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.audit import SERVICE, STRIPE, record_act
from database.keys import SESSION, is_fulfillment, naming
from database.tables import fulfillments, is_unsettled, line_items, orders, reversals
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import (
    SETTLED_STATES,
    Deliverable,
    FulfillmentState,
    OrderState,
    ended_as,
)
from domain.reversals import (
    Cause,
    Decision,
    PaidLine,
    Reversal,
    ReversalPolicy,
    Target,
    format_lines,
    supersedes,
    target,
)


class ReversibleFulfillment(BaseModel):
    """A fulfillment, how far it was reversed, and how far it is to be."""

    model_config = ConfigDict(frozen=True)

    ref: FulfillmentRef
    state: FulfillmentState
    quantity: int
    """Pieces that were bought."""
    reversed: int
    taken_back: int
    was_delivered: bool
    """Whether it was delivered before."""
    changed_at: datetime
    """When anything has happened to it last."""
    unchanged_for: timedelta
    """How long ago that is."""

    @property
    def is_settled(self) -> bool:
        """Whether it has come to where it is to be."""
        return self.reversed == self.taken_back

    @property
    def kept(self) -> int:
        """Pieces that are still paid for."""
        return self.quantity - self.reversed


class StuckReversal(BaseModel):
    """A reversal that should have taken something back by now."""

    model_config = ConfigDict(frozen=True)

    id: str
    cause: Cause
    account: str | None


class PaidOrder(BaseModel):
    """What was paid for an order, and by which payment."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    account: str | None
    payment_intent_id: str | None
    currency: str | None
    total_minor: int
    lines: tuple[PaidLine, ...]


_OF_ORDER = reversals.c.session_id == SESSION
_SAVE = insert(reversals)
_UPSERT = _SAVE.on_conflict_do_update(
    index_elements=[reversals.c.id],
    set_={
        column.name: _SAVE.excluded[column.name]
        for column in (
            reversals.c.cause,
            reversals.c.status,
            reversals.c.counts,
            reversals.c.amount_minor,
            reversals.c.reason,
            reversals.c.lines,
            reversals.c.problem,
        )
    }
    | {"updated_at": func.now()},
)
_READ = select(reversals).where(_OF_ORDER).order_by(reversals.c.created_at, reversals.c.id)
_READ_ORDER = select(
    orders.c.session_id,
    orders.c.account,
    orders.c.payment_intent_id,
    orders.c.currency,
    func.coalesce(orders.c.amount_total_minor, 0).label("total_minor"),
).where(orders.c.session_id == SESSION)
_READ_LINES = (
    select(
        line_items.c.line_item_id.label("id"),
        line_items.c.quantity,
        line_items.c.amount_total_minor.label("total_minor"),
    )
    .where(line_items.c.session_id == SESSION)
    .order_by(line_items.c.position)
)
_LOCK_FULFILLMENTS = (
    select(fulfillments)
    .where(fulfillments.c.session_id == SESSION)
    .order_by(fulfillments.c.line_item_id, fulfillments.c.kind)
    .with_for_update()
)
_AIM = (
    update(fulfillments)
    .where(is_fulfillment(fulfillments))
    .values(
        state=bindparam("new_state"),
        reversed=bindparam("new_reversed"),
        held=bindparam("new_held"),
        error=bindparam("new_error"),
    )
)
_NOTE = (
    update(fulfillments)
    .where(is_fulfillment(fulfillments))
    .values(
        taken_back=fulfillments.c.reversed,
        delivered=func.coalesce(
            bindparam("new_delivered", type_=JSONB(none_as_null=True)), fulfillments.c.delivered
        ),
    )
)
_WANT_AGAIN = (
    update(fulfillments)
    .where(is_fulfillment(fulfillments), fulfillments.c.state == FulfillmentState.FULFILLED)
    .values(state=FulfillmentState.PENDING)
    .returning(fulfillments.c.state)
)
_LOCK_ORDER = select(orders.c.state).where(orders.c.session_id == SESSION).with_for_update()
_LOCK_ONE = (
    select(
        fulfillments,
        line_items.c.quantity,
        (func.now() - fulfillments.c.updated_at).label("unchanged_for"),
    )
    .join(
        line_items,
        (line_items.c.session_id == fulfillments.c.session_id)
        & (line_items.c.line_item_id == fulfillments.c.line_item_id),
    )
    .where(is_fulfillment(fulfillments))
    .with_for_update(of=fulfillments)
)
_FIND_ORDER = select(orders.c.session_id).where(orders.c.payment_intent_id == bindparam("paid_by"))
_HAS_ANY = select(reversals.c.id).where(_OF_ORDER).limit(1)


async def find_order(connection: AsyncConnection, payment_intent_id: str) -> str | None:
    """The session of the order that a payment was for; None where none is recorded."""
    found: str | None = await connection.scalar(_FIND_ORDER, {"paid_by": payment_intent_id})
    return found


async def read_paid(connection: AsyncConnection, session_id: str) -> PaidOrder:
    """What was paid for an order."""
    order = (await connection.execute(_READ_ORDER, {SESSION.key: session_id})).one()
    lines = await connection.execute(_READ_LINES, {SESSION.key: session_id})
    return PaidOrder(
        session_id=order.session_id,
        account=order.account,
        payment_intent_id=order.payment_intent_id,
        currency=order.currency,
        total_minor=order.total_minor,
        lines=tuple(PaidLine.model_validate(row, from_attributes=True) for row in lines),
    )


async def read_reversals(connection: AsyncConnection, session_id: str) -> tuple[Reversal, ...]:
    """All reversals of an order, the oldest first."""
    rows = await connection.execute(_READ, {SESSION.key: session_id})
    return tuple(
        Reversal(
            id=row.id,
            session_id=row.session_id,
            cause=row.cause,
            status=row.status,
            counts=row.counts,
            amount=None
            if row.amount_minor is None
            else Money(amount_minor=row.amount_minor, currency=row.currency),
            reason=row.reason,
            lines=row.lines,
            problem=row.problem,
            decision=row.decision,
            created_at=row.created_at,
        )
        for row in rows
    )


async def has_reversals(connection: AsyncConnection, session_id: str) -> bool:
    """Whether anything of an order's money ever went back."""
    return await connection.scalar(_HAS_ANY, {SESSION.key: session_id}) is not None


async def save_reversals(
    connection: AsyncConnection, session_id: str, found: Iterable[Reversal]
) -> None:
    """Records what Stripe says of an order's reversals; lock the order first.

    What Stripe said earlier never replaces what it said later, and an operator's choice of the
    line items stays.
    """
    known = {each.id: each for each in await read_reversals(connection, session_id)}
    for said in found:
        old = known.get(said.id)
        new = said
        if old is not None:
            if not supersedes(said, old):
                continue
            if old.decision is not None:
                decided = {"decision": old.decision, "lines": old.lines, "problem": old.problem}
                new = said.model_copy(update=decided)
            if new == old:
                continue
        await connection.execute(
            _UPSERT,
            {
                "id": new.id,
                "session_id": new.session_id,
                "cause": new.cause,
                "status": new.status,
                "counts": new.counts,
                "amount_minor": new.amount.amount_minor if new.amount else None,
                "currency": new.amount.currency if new.amount else None,
                "reason": new.reason,
                "lines": new.lines,
                "problem": new.problem,
                "created_at": new.created_at,
            },
        )
        await record_act(
            connection, session_id, act="reversal_recorded", by=STRIPE, detail=_described(new)
        )


def _described(reversal: Reversal) -> str:
    amount = reversal.amount
    parts = (
        f"{reversal.id}: {reversal.cause}, {reversal.status}",
        f"{amount.amount_minor} {amount.currency}" if amount else "",
        format_lines(reversal.lines) if reversal.lines is not None else reversal.problem,
        reversal.reason,
    )
    return "; ".join(part for part in parts if part)


async def decide(
    connection: AsyncConnection,
    reversal_id: str,
    decision: Decision,
    lines: dict[str, int] | None,
) -> None:
    """Records what an operator says about a reversal; lock the order first."""
    await connection.execute(
        update(reversals)
        .where(reversals.c.id == reversal_id)
        .values(decision=decision, lines=lines, problem=None)
    )


async def aim(
    connection: AsyncConnection,
    paid: PaidOrder,
    policy_of: Callable[[str], ReversalPolicy],
    by: str,
) -> None:
    """Says where each fulfillment is to come to, by all reversals; lock the order first.

    What is not delivered is reversed by that alone. The order's state follows: one that had ended
    is open again where there is something to deliver after all.

    Args:
        connection: Within whose transaction.
        paid: What was paid for the order.
        policy_of: What a reversal means for a fulfillment kind.
        by: Who is the reason to say so now, for the audit.
    """
    known = await read_reversals(connection, paid.session_id)
    rows = (await connection.execute(_LOCK_FULFILLMENTS, {SESSION.key: paid.session_id})).all()
    lines = {line.id: line for line in paid.lines}
    is_changed = False
    states = set()
    for row in rows:
        line = lines[row.line_item_id]
        aimed = target(line, policy_of(row.kind), known, paid.total_minor)
        state = _state(row, aimed, line)
        states.add(state)
        if (state, aimed.reversed, aimed.held) == (row.state, row.reversed, row.held):
            continue
        ref = FulfillmentRef(
            session_id=row.session_id, line_item_id=row.line_item_id, kind=row.kind
        )
        await connection.execute(
            _AIM,
            {
                **naming(ref),
                "new_state": state,
                "new_reversed": aimed.reversed,
                "new_held": aimed.held,
                "new_error": None if state is FulfillmentState.REVERSED else row.error,
            },
        )
        is_changed = True
        for act in _acts(row, aimed):
            detail = f"{ref.step}: {aimed.reversed} of {line.quantity}"
            await record_act(connection, paid.session_id, act=act, by=by, detail=detail)
    if is_changed:
        await _follow(connection, paid.session_id, states)


def _acts(row: Any, aimed: Target) -> Iterator[str]:  # noqa: ANN401 - a row
    if aimed.reversed > row.reversed:
        yield "reversed"
    if aimed.reversed < row.reversed:
        yield "reversal_undone"
    if aimed.held != row.held:
        yield "held" if aimed.held else "released"


def _state(row: Any, aimed: Target, line: PaidLine) -> FulfillmentState:  # noqa: ANN401 - a row
    state = FulfillmentState(row.state)
    if state is FulfillmentState.SKIPPED:
        return state
    if aimed.reversed >= line.quantity:
        return FulfillmentState.REVERSED
    if state is not FulfillmentState.REVERSED:
        return state
    # Undone: what was delivered once is handed out again, what never was is delivered now.
    return FulfillmentState.FULFILLED if row.fulfilled_at else FulfillmentState.PENDING


async def _follow(
    connection: AsyncConnection, session_id: str, states: set[FulfillmentState]
) -> None:
    """Makes the state of an order that has ended follow from those of its fulfillments."""
    ended = (OrderState.FULFILLED, OrderState.REVERSED)
    is_ended = (orders.c.session_id == session_id, orders.c.state.in_(ended))
    if states - SETTLED_STATES:
        values = {"state": OrderState.FULFILLING, "closed_at": None}
    else:
        values = {"state": ended_as(states)}
    await connection.execute(update(orders).where(*is_ended).values(values))


async def lock_reversible(
    connection: AsyncConnection, ref: FulfillmentRef
) -> ReversibleFulfillment:
    """Locks a fulfillment and its order, and tells where it is to come to."""
    await connection.execute(_LOCK_ORDER, {SESSION.key: ref.session_id})
    row = (await connection.execute(_LOCK_ONE, naming(ref))).one()
    return ReversibleFulfillment(
        ref=ref,
        state=row.state,
        quantity=row.quantity,
        reversed=row.reversed,
        taken_back=row.taken_back,
        changed_at=row.updated_at,
        unchanged_for=row.unchanged_for,
        was_delivered=row.fulfilled_at is not None,
    )


async def note_taken_back(
    connection: AsyncConnection,
    fulfillment: ReversibleFulfillment,
    *,
    delivered: Iterable[Deliverable] | None = None,
    by: str = SERVICE,
    note: str = "",
) -> None:
    """Notes that a fulfillment has come to where it is to be; lock it first.

    Args:
        connection: Within whose transaction.
        fulfillment: Which one.
        delivered: What the customer has in hand now, where that has changed.
        by: Who has seen to it, for the audit.
        note: How, for the audit; no personal data.
    """
    in_hand = None if delivered is None else [each.model_dump(mode="json") for each in delivered]
    await connection.execute(_NOTE, {**naming(fulfillment.ref), "new_delivered": in_hand})
    if fulfillment.is_settled:
        return
    done = f"{fulfillment.ref.step}: {fulfillment.reversed} of {fulfillment.quantity}"
    await record_act(
        connection,
        fulfillment.ref.session_id,
        act="taken_back" if fulfillment.reversed > fulfillment.taken_back else "given_back",
        by=by,
        detail=f"{done}; {note}" if note else done,
    )


async def want_again(connection: AsyncConnection, fulfillment: ReversibleFulfillment) -> None:
    """Has a fulfillment delivered again, of which pieces are missing; lock it first."""
    if await connection.scalar(_WANT_AGAIN, naming(fulfillment.ref)) is not None:
        await _follow(connection, fulfillment.ref.session_id, {FulfillmentState.PENDING})


async def read_statuses(
    connection: AsyncConnection, reversal_ids: Collection[str]
) -> dict[str, str]:
    """What Stripe said last of those of these reversals that are recorded."""
    rows = await connection.execute(
        select(reversals.c.id, reversals.c.status).where(reversals.c.id.in_(reversal_ids))
    )
    return {row.id: row.status for row in rows}


async def read_aims(connection: AsyncConnection, session_id: str) -> tuple[str, ...]:
    """Where the fulfillments of an order are to come to: those that are reversed or held."""
    rows = await connection.execute(
        select(fulfillments)
        .where(
            fulfillments.c.session_id == session_id,
            (fulfillments.c.reversed > 0) | fulfillments.c.held,
        )
        .order_by(fulfillments.c.line_item_id, fulfillments.c.kind)
    )
    return tuple(
        f"{row.line_item_id}:{row.kind} {row.reversed}{' held' if row.held else ''}" for row in rows
    )


async def read_stuck(
    connection: AsyncConnection, quiet_for: timedelta, limit: int
) -> list[StuckReversal]:
    """Reversals of orders of which something is not taken back, and has not been for a while.

    Args:
        connection: Within whose transaction.
        quiet_for: How long nothing must have happened to the fulfillment.
        limit: The most to return.
    """
    rows = await connection.execute(
        select(reversals.c.id, reversals.c.cause, orders.c.account)
        .distinct()
        .join(fulfillments, fulfillments.c.session_id == reversals.c.session_id)
        .join(orders, orders.c.session_id == reversals.c.session_id)
        .where(
            is_unsettled,
            fulfillments.c.updated_at < func.now() - quiet_for,
        )
        .order_by(reversals.c.id)
        .limit(limit)
    )
    return [StuckReversal.model_validate(row, from_attributes=True) for row in rows]


async def read_unsettled(
    connection: AsyncConnection, session_id: str, *, by_hand: bool
) -> tuple[FulfillmentRef, ...]:
    """The fulfillments of an order that are not where they are to come to.

    Args:
        connection: Within whose transaction.
        session_id: Which order.
        by_hand: Those that a person has delivered; or else all others.
    """
    rows = await connection.execute(
        select(fulfillments.c.session_id, fulfillments.c.line_item_id, fulfillments.c.kind)
        .where(
            fulfillments.c.session_id == session_id,
            is_unsettled,
            fulfillments.c.by_hand == by_hand,
        )
        .order_by(fulfillments.c.line_item_id, fulfillments.c.kind)
    )
    return tuple(FulfillmentRef.model_validate(row, from_attributes=True) for row in rows)
