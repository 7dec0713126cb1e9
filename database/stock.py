"""Stock on hand per SKU and warehouse, every movement of it, and which SKUs run low.

Who moves more than one row locks all rows of its SKUs first, by `lock_stock`, which does so in
one order; rows of `skus` come after those. So no two transactions wait for each other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ARRAY,
    Integer,
    Select,
    Text,
    any_,
    bindparam,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import naming, naming_columns, naming_nothing
from database.tables import backorders, skus, stock, stock_movements
from domain.ids import FulfillmentRef
from domain.stock import MAIN_WAREHOUSE, Take


class StockLevel(BaseModel):
    """How many pieces of a SKU a warehouse has."""

    model_config = ConfigDict(frozen=True)

    sku: str
    warehouse: str
    on_hand: int
    low_at: int | None
    """At this much or less, in all warehouses together, the SKU counts as low."""
    is_low: bool


class LowStock(BaseModel):
    """A SKU that has just become low."""

    model_config = ConfigDict(frozen=True)

    sku: str
    on_hand: int
    """In all warehouses."""
    low_at: int


@dataclass(frozen=True)
class Taken:
    """Pieces were taken; `low` tells that the SKU became low by that."""

    low: LowStock | None


_SKU = bindparam("moved_sku", type_=Text)
_WAREHOUSE = bindparam("moved_warehouse", type_=Text)
_QUANTITY = bindparam("moved_quantity", type_=Integer)
_ROW = (stock.c.sku == _SKU, stock.c.warehouse == _WAREHOUSE)
_MOVEMENT = ["sku", "warehouse", "quantity", "reason", "session_id", "line_item_id", "kind"]


def _taking(*, from_awaited: bool) -> Select[Any]:
    """Takes pieces, records it and flags what becomes low by it, all in one statement."""
    is_enough = stock.c.on_hand >= _QUANTITY
    is_free = ~exists().where(backorders.c.sku == _SKU)
    taken = (
        update(stock)
        .where(*_ROW, is_enough, *(() if from_awaited else (is_free,)))
        .values(on_hand=stock.c.on_hand - _QUANTITY)
        .returning(stock.c.sku, stock.c.warehouse, stock.c.on_hand)
        .cte("taken")
    )
    recorded = (
        insert(stock_movements)
        .from_select(
            _MOVEMENT,
            select(taken.c.sku, taken.c.warehouse, -_QUANTITY, literal("taken"), *naming_columns()),
        )
        .cte("recorded")
    )
    elsewhere = (
        select(func.coalesce(func.sum(stock.c.on_hand), 0))
        .where(stock.c.sku == _SKU, stock.c.warehouse != _WAREHOUSE)
        .scalar_subquery()
    )
    on_hand = taken.c.on_hand + elsewhere
    low = (
        update(skus)
        .where(skus.c.sku == taken.c.sku, ~skus.c.is_low, skus.c.low_at >= on_hand)
        .values(is_low=True)
        .returning(skus.c.sku, skus.c.low_at, on_hand.label("on_hand"))
        .cte("low")
    )
    return (
        select(taken.c.sku, low.c.on_hand, low.c.low_at)
        .select_from(taken.outerjoin(low, low.c.sku == taken.c.sku))
        .add_cte(recorded)
    )


_TAKE_FREE = _taking(from_awaited=False)
_TAKE = _taking(from_awaited=True)

_ADDED = (
    update(stock)
    .where(*_ROW)
    .values(on_hand=stock.c.on_hand + _QUANTITY)
    .returning(stock.c.sku, stock.c.warehouse)
    .cte("added")
)
_ADD = insert(stock_movements).from_select(
    _MOVEMENT,
    select(
        _ADDED.c.sku,
        _ADDED.c.warehouse,
        _QUANTITY,
        bindparam("moved_reason", type_=Text),
        *naming_columns(),
    ),
)
_CREATE_SKU = insert(skus).on_conflict_do_nothing()
_CREATE_STOCK = insert(stock).on_conflict_do_nothing()
_SET_LOW_AT = (
    update(skus).where(skus.c.sku == bindparam("of_sku")).values(low_at=bindparam("new_low_at"))
)
_OF_SKUS = bindparam("of_skus", type_=ARRAY(Text))
_LOCK = (
    select(stock.c.sku, stock.c.warehouse, stock.c.on_hand)
    .where(stock.c.sku == any_(_OF_SKUS))
    .order_by(stock.c.sku, stock.c.warehouse)
    # Not FOR UPDATE, which would wait for movements that only refer to the row.
    .with_for_update(key_share=True)
)
_TOTALS = (
    select(stock.c.sku, func.sum(stock.c.on_hand).label("on_hand"))
    .where(stock.c.sku == any_(_OF_SKUS))
    .group_by(stock.c.sku)
    .cte("totals")
)
_IS_LOW = func.coalesce(skus.c.low_at >= _TOTALS.c.on_hand, False)
_SETTLE_LOW = (
    update(skus)
    .where(skus.c.sku == _TOTALS.c.sku, skus.c.is_low != _IS_LOW)
    .values(is_low=_IS_LOW)
    .returning(skus.c.sku, skus.c.is_low, skus.c.low_at, _TOTALS.c.on_hand)
)


async def take(
    connection: AsyncConnection, wanted: Take, ref: FulfillmentRef, *, from_awaited: bool = False
) -> Taken | None:
    """Takes pieces from stock, all or none; two takers never get the same piece.

    Args:
        connection: Within whose transaction.
        wanted: What to take.
        ref: For which fulfillment.
        from_awaited: Whether the SKU may be taken although somebody queues for it: the caller
            has seen to it that nobody is passed.

    Returns:
        None when too few are on hand, or others queue for them.
    """
    row = (
        await connection.execute(
            _TAKE if from_awaited else _TAKE_FREE, {**_moving(wanted), **naming(ref)}
        )
    ).one_or_none()
    if row is None:
        return None
    if row.low_at is None:
        return Taken(low=None)
    return Taken(low=LowStock.model_validate(row, from_attributes=True))


async def put_back(
    connection: AsyncConnection, takes: Collection[tuple[Take, FulfillmentRef]]
) -> None:
    """Puts back what `take` took, for these fulfillments."""
    involved = {each.sku for each, _ in takes}
    await lock_stock(connection, involved)
    await _add(connection, takes, "put back")
    await _settle_low(connection, involved)


async def lock_stock(
    connection: AsyncConnection, of_skus: Collection[str]
) -> dict[tuple[str, str], int]:
    """Locks all rows of these SKUs until the transaction ends; tells the pieces in each."""
    rows = await connection.execute(_LOCK, {_OF_SKUS.key: sorted(of_skus)})
    return {(row.sku, row.warehouse): row.on_hand for row in rows}


async def set_stock(
    connection: AsyncConnection,
    counts: Mapping[tuple[str, str], int],
    low_at: Mapping[str, int | None],
) -> tuple[LowStock, ...]:
    """Sets what there is after a count, and when SKUs count as low.

    Args:
        connection: Within whose transaction.
        counts: Pieces by SKU and warehouse; what is not named stays as it is.
        low_at: By SKU at how many pieces, in all warehouses together, it is low; None for never.

    Returns:
        The SKUs that became low by it.
    """
    named = {sku for sku, _ in counts} | low_at.keys()
    await _create(connection, named, counts)
    before = await lock_stock(connection, named)
    counted = [
        (Take(sku=sku, warehouse=warehouse, quantity=on_hand - before[sku, warehouse]), None)
        for (sku, warehouse), on_hand in counts.items()
        if on_hand != before[sku, warehouse]
    ]
    await _add(connection, counted, "counted")
    if low_at:
        thresholds = [{"of_sku": sku, "new_low_at": low_at[sku]} for sku in sorted(low_at)]
        await connection.execute(_SET_LOW_AT, thresholds)
    return await _settle_low(connection, named)


async def set_on_hand(
    connection: AsyncConnection, sku: str, on_hand: int, warehouse: str = MAIN_WAREHOUSE
) -> tuple[LowStock, ...]:
    """Sets how many pieces of one SKU a warehouse has; as `set_stock`."""
    return await set_stock(connection, {(sku, warehouse): on_hand}, {})


async def receive(
    connection: AsyncConnection, sku: str, quantity: int, warehouse: str = MAIN_WAREHOUSE
) -> None:
    """Adds pieces that have come in."""
    await _create(connection, {sku}, {(sku, warehouse)})
    await lock_stock(connection, {sku})
    received = Take(sku=sku, warehouse=warehouse, quantity=quantity)
    await _add(connection, [(received, None)], "received")
    await _settle_low(connection, {sku})


async def read_stock(connection: AsyncConnection) -> tuple[StockLevel, ...]:
    """All stock, by SKU and warehouse."""
    rows = await connection.execute(
        select(stock.c.sku, stock.c.warehouse, stock.c.on_hand, skus.c.low_at, skus.c.is_low)
        .join(skus, skus.c.sku == stock.c.sku)
        .order_by(stock.c.sku, stock.c.warehouse)
    )
    return tuple(StockLevel.model_validate(row, from_attributes=True) for row in rows)


async def _create(
    connection: AsyncConnection,
    of_skus: Collection[str],
    places: Collection[tuple[str, str]],
) -> None:
    """Makes the rows of SKUs, and of SKUs in warehouses, that are not there yet; in one order."""
    if of_skus:
        await connection.execute(_CREATE_SKU, [{"sku": sku} for sku in sorted(of_skus)])
    if places:
        rows = [{"sku": sku, "warehouse": place, "on_hand": 0} for sku, place in sorted(places)]
        await connection.execute(_CREATE_STOCK, rows)


async def _add(
    connection: AsyncConnection,
    moved: Collection[tuple[Take, FulfillmentRef | None]],
    reason: str,
) -> None:
    """Moves pieces and records it; the rows of stock must be there."""
    if moved:
        rows = [
            {
                **_moving(each),
                "moved_reason": reason,
                **(naming(ref) if ref else naming_nothing()),
            }
            for each, ref in moved
        ]
        await connection.execute(_ADD, rows)


async def _settle_low(
    connection: AsyncConnection, of_skus: Collection[str]
) -> tuple[LowStock, ...]:
    """Makes the flags follow from what is on hand; the rows of stock must be locked."""
    rows = await connection.execute(_SETTLE_LOW, {_OF_SKUS.key: sorted(of_skus)})
    return tuple(LowStock.model_validate(row, from_attributes=True) for row in rows if row.is_low)


def _moving(moved: Take) -> dict[str, Any]:
    return {
        _SKU.key: moved.sku,
        _WAREHOUSE.key: moved.warehouse,
        _QUANTITY.key: moved.quantity,
    }
