"""What customers are asked to send back, since the money went back after the parcel had left."""

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import groupby
from uuid import uuid4

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.parcels import ParcelRow
from database.tables import returns
from domain.ids import FulfillmentRef
from domain.returns import Return, ReturnState
from domain.stock import Take

_READ = select(returns).where(is_fulfillment(returns)).order_by(returns.c.created_at, returns.c.id)
_SET = (
    update(returns)
    .where(returns.c.id == bindparam("of_id"), returns.c.state == ReturnState.ASKED)
    .values(state=bindparam("new_state"), updated_at=func.now())
    .returning(returns)
)
_READ_ONE = select(returns).where(returns.c.id == bindparam("of_id"))


async def read_returns(connection: AsyncConnection, ref: FulfillmentRef) -> tuple[Return, ...]:
    """All returns of a shipment, the oldest first."""
    rows = await connection.execute(_READ, naming(ref))
    return tuple(Return.model_validate(row, from_attributes=True) for row in rows)


async def pieces_out(
    connection: AsyncConnection, ref: FulfillmentRef, parcels: Iterable[ParcelRow]
) -> Counter[str]:
    """Pieces that the customer has or gets, by SKU; what is asked back does not count."""
    pieces: Counter[str] = Counter()
    for parcel in parcels:
        if parcel.is_shipped:
            pieces.update(parcel.pieces)
    for each in await read_returns(connection, ref):
        if each.state is not ReturnState.WITHDRAWN:
            pieces[each.sku] -= each.quantity
    return pieces


async def read_returns_of(connection: AsyncConnection, session_id: str) -> tuple[Return, ...]:
    """All returns of an order, the oldest first."""
    rows = await connection.execute(
        select(returns)
        .where(returns.c.session_id == session_id)
        .order_by(returns.c.created_at, returns.c.id)
    )
    return tuple(Return.model_validate(row, from_attributes=True) for row in rows)


async def read_asked(connection: AsyncConnection, session_id: str) -> list[tuple[Return, ...]]:
    """What the customer is asked to send back, what was asked for together in one tuple."""
    rows = await connection.execute(
        select(returns)
        .where(returns.c.session_id == session_id, returns.c.state == ReturnState.ASKED)
        .order_by(returns.c.created_at, returns.c.id)
    )
    together = groupby(rows, key=lambda row: row.created_at)
    return [
        tuple(Return.model_validate(row, from_attributes=True) for row in group)
        for _, group in together
    ]


async def read_these(
    connection: AsyncConnection, return_ids: Collection[str]
) -> tuple[Return, ...]:
    """The returns of these IDs."""
    rows = await connection.execute(
        select(returns).where(returns.c.id.in_(return_ids)).order_by(returns.c.id)
    )
    return tuple(Return.model_validate(row, from_attributes=True) for row in rows)


async def ask_back(connection: AsyncConnection, ref: FulfillmentRef, takes: Iterable[Take]) -> None:
    """Asks for pieces back."""
    rows = [
        {
            **ref.model_dump(),
            **take.model_dump(),
            "id": f"ret_{uuid4().hex}",
            "state": ReturnState.ASKED,
        }
        for take in takes
    ]
    if rows:
        await connection.execute(insert(returns), rows)


async def end_return(
    connection: AsyncConnection, return_id: str, state: ReturnState
) -> tuple[Return, bool] | None:
    """Ends a return that is asked for.

    Returns:
        The return as it is now, and whether it was ended by this; None when there is none.
    """
    row = (await connection.execute(_SET, {"of_id": return_id, "new_state": state})).one_or_none()
    if row is not None:
        return Return.model_validate(row, from_attributes=True), True
    row = (await connection.execute(_READ_ONE, {"of_id": return_id})).one_or_none()
    return None if row is None else (Return.model_validate(row, from_attributes=True), False)
