"""Stock that is held for orders whose delayed payment is under way.

A reservation takes its pieces off the stock when it is made. They come back when the payment is
lost, or become the shipment's own when it has come; each happens in the transaction that
records why.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database import stock
from database.keys import is_fulfillment, naming, of_fulfillment
from database.tables import stock_reservations
from domain.ids import FulfillmentRef
from domain.stock import Take


class ReservationState(StrEnum):
    """Where a reservation stands; all but the first are ends."""

    HELD = "held"
    USED = "used"
    RELEASED = "released"
    EXPIRED = "expired"


_IS_HELD = stock_reservations.c.state == ReservationState.HELD
_IS_RESERVATION = is_fulfillment(stock_reservations)
_ENDED = (ReservationState.RELEASED, ReservationState.EXPIRED)
_INSERT = insert(stock_reservations)
_SAVE = _INSERT.on_conflict_do_update(
    index_elements=list(stock_reservations.primary_key),
    set_={
        name: _INSERT.excluded[name]
        for name in (
            stock_reservations.c.quantity.name,
            stock_reservations.c.state.name,
            stock_reservations.c.expires_at.name,
        )
    },
    where=stock_reservations.c.state.in_(_ENDED),
)
_RETURNED = (
    stock_reservations.c.session_id,
    stock_reservations.c.line_item_id,
    stock_reservations.c.kind,
    stock_reservations.c.sku,
    stock_reservations.c.warehouse,
    stock_reservations.c.quantity,
)


async def is_reserved(connection: AsyncConnection, ref: FulfillmentRef) -> bool:
    """Whether pieces are held for a fulfillment, or its shipment has got them.

    What was released or has expired may be held anew: a payment may be tried again after it
    had failed.
    """
    found = await connection.scalar(
        select(stock_reservations.c.sku)
        .where(_IS_RESERVATION, stock_reservations.c.state.not_in(_ENDED))
        .limit(1),
        naming(ref),
    )
    return found is not None


async def save_reservation(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    taken: Collection[Take],
    expires_at: datetime | None,
) -> None:
    """Records that pieces, which have been taken from stock, are held for a fulfillment."""
    rows = [
        {
            **ref.model_dump(),
            **take.model_dump(),
            "state": ReservationState.HELD,
            "expires_at": expires_at,
        }
        for take in taken
    ]
    await connection.execute(_SAVE, rows)


async def use(
    connection: AsyncConnection, ref: FulfillmentRef, wanted: dict[str, int]
) -> tuple[Take, ...] | None:
    """Makes what is held for a fulfillment its shipment's own.

    Pieces of other SKUs, held before the catalog changed, go back to stock.

    Args:
        connection: Within whose transaction.
        ref: Which fulfillment.
        wanted: What it needs: pieces by SKU.

    Returns:
        What was held, which need not be taken any more; None when that is not what is wanted.
    """
    rows = (
        await connection.execute(
            select(*_RETURNED)
            .where(_IS_RESERVATION, _IS_HELD)
            .order_by(stock_reservations.c.sku, stock_reservations.c.warehouse)
            .with_for_update(),
            naming(ref),
        )
    ).all()
    held = tuple(Take.model_validate(row, from_attributes=True) for row in rows)
    pieces: dict[str, int] = {}
    for take in held:
        pieces[take.sku] = pieces.get(take.sku, 0) + take.quantity
    if pieces != wanted:
        # Both at once, in one order, as what is wanted is taken next.
        await stock.lock_stock(connection, wanted.keys() | pieces.keys())
        await release(connection, ref.session_id, ref)
        return None
    await connection.execute(
        update(stock_reservations)
        .where(_IS_RESERVATION, _IS_HELD)
        .values(state=ReservationState.USED),
        naming(ref),
    )
    return held


async def release_unplanned(connection: AsyncConnection, session_id: str) -> None:
    """Puts back what is held for an order and no fulfillment of its plan will use."""
    unplanned = ~exists().where(of_fulfillment(stock_reservations))
    await _end(
        connection,
        ReservationState.RELEASED,
        stock_reservations.c.session_id == session_id,
        unplanned,
    )


async def release(
    connection: AsyncConnection, session_id: str, ref: FulfillmentRef | None = None
) -> None:
    """Puts back what is held for an order, or for one fulfillment of it."""
    whose = [stock_reservations.c.session_id == session_id]
    if ref is not None:
        whose += [
            stock_reservations.c.line_item_id == ref.line_item_id,
            stock_reservations.c.kind == ref.kind,
        ]
    await _end(connection, ReservationState.RELEASED, *whose)


async def release_expired(connection: AsyncConnection) -> int:
    """Puts back what was held for too long; returns how many rows of it there were."""
    is_over = stock_reservations.c.expires_at <= func.now()
    return await _end(connection, ReservationState.EXPIRED, is_over)


async def _end(
    connection: AsyncConnection, state: ReservationState, *which: ColumnElement[bool]
) -> int:
    rows = (
        await connection.execute(
            update(stock_reservations)
            .where(_IS_HELD, *which)
            .values(state=state)
            .returning(*_RETURNED)
        )
    ).all()
    if rows:
        await stock.put_back(
            connection,
            [
                (
                    Take.model_validate(row, from_attributes=True),
                    FulfillmentRef.model_validate(row, from_attributes=True),
                )
                for row in rows
            ],
        )
    return len(rows)
