"""Stock that is held for orders whose delayed payment is under way.

A reservation takes its pieces off the stock when it is made. They come back when the payment is
lost, or become the shipment's own when it has come; each happens in the transaction that
records why.
"""

from enum import StrEnum

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database import stock
from database.keys import is_fulfillment, naming, of_fulfillment
from database.tables import stock_reservations
from domain.errors import PermanentError
from domain.ids import FulfillmentRef


class ReservationState(StrEnum):
    """Where a reservation stands; the last two are ends."""

    HELD = "held"
    USED = "used"
    RELEASED = "released"


_IS_HELD = stock_reservations.c.state == ReservationState.HELD
_IS_RESERVATION = is_fulfillment(stock_reservations)
_INSERT = insert(stock_reservations)
_RESERVE = _INSERT.on_conflict_do_update(
    index_elements=list(stock_reservations.primary_key),
    set_={
        name: _INSERT.excluded[name]
        for name in (
            stock_reservations.c.sku.name,
            stock_reservations.c.quantity.name,
            stock_reservations.c.state.name,
        )
    },
    where=stock_reservations.c.state == ReservationState.RELEASED,
).returning(stock_reservations.c.sku)
_RETURNED = (
    stock_reservations.c.session_id,
    stock_reservations.c.line_item_id,
    stock_reservations.c.kind,
    stock_reservations.c.sku,
    stock_reservations.c.quantity,
)


async def reserve(
    connection: AsyncConnection, ref: FulfillmentRef, sku: str, quantity: int
) -> bool:
    """Holds pieces for a fulfillment; a second time changes nothing.

    What was released is held anew: a payment may be tried again after it had failed.

    Returns:
        False when too few are on hand, or the SKU has no stock record.
    """
    row = {**ref.model_dump(), "sku": sku, "quantity": quantity, "state": ReservationState.HELD}
    try:
        async with connection.begin_nested():
            made = await connection.scalar(_RESERVE, row)
            if made is not None:
                await stock.take(connection, sku, quantity, ref)
    except PermanentError:
        return False
    return True


async def use(connection: AsyncConnection, ref: FulfillmentRef, sku: str, quantity: int) -> bool:
    """Makes what is held for a fulfillment its shipment's own.

    Pieces of another SKU, held before the catalog changed, go back to stock.

    Returns:
        Whether these very pieces were held: then they need not be taken any more.
    """
    held = (
        await connection.execute(
            select(*_RETURNED).where(_IS_RESERVATION, _IS_HELD).with_for_update(), naming(ref)
        )
    ).one_or_none()
    if held is None:
        return False
    if (held.sku, held.quantity) != (sku, quantity):
        await release(connection, ref.session_id, ref)
        return False
    await connection.execute(
        update(stock_reservations).where(_IS_RESERVATION).values(state=ReservationState.USED),
        naming(ref),
    )
    return True


async def release_unplanned(connection: AsyncConnection, session_id: str) -> None:
    """Puts back what is held for an order and no fulfillment of its plan will use."""
    held = await connection.execute(
        select(*_RETURNED).where(
            _IS_HELD,
            stock_reservations.c.session_id == session_id,
            ~exists().where(of_fulfillment(stock_reservations)),
        )
    )
    for row in held.all():
        ref = FulfillmentRef.model_validate(row, from_attributes=True)
        await release(connection, session_id, ref)


async def release(
    connection: AsyncConnection, session_id: str, ref: FulfillmentRef | None = None
) -> None:
    """Puts back what is held for an order, or for one fulfillment of it."""
    of_order = stock_reservations.c.session_id == session_id
    statement = (
        update(stock_reservations)
        .where(_IS_HELD, of_order if ref is None else _IS_RESERVATION)
        .values(state=ReservationState.RELEASED)
        .returning(*_RETURNED)
    )
    for held in (await connection.execute(statement, naming(ref) if ref else {})).all():
        reserved = FulfillmentRef.model_validate(held, from_attributes=True)
        await stock.put_back(connection, held.sku, held.quantity, reserved)
