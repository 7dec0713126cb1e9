"""Taking stock for a shipment: from which warehouses, and never before those who queue for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from database import stock
from database.backorders import queued_before
from database.stock import LowStock
from domain.errors import PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.shipping import ParcelItem
from domain.stock import Take, allocate


@dataclass(frozen=True)
class Allocation:
    """What was taken; `low` are the SKUs that became low by it."""

    takes: tuple[Take, ...]
    low: tuple[LowStock, ...] = ()


@dataclass(frozen=True)
class Shortage:
    """Nothing was taken; `problem` says what there is too little of, for operators."""

    problem: str


async def take_pieces(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    items: Sequence[ParcelItem],
    warehouses: Sequence[str],
) -> Allocation | Shortage:
    """Takes all that a shipment needs, or nothing.

    Most orders are for one SKU of one warehouse, and nobody queues for it: one statement takes
    the pieces. For all others the rows of stock are locked first, in one order, so that what is
    read is still true when it is taken.

    Args:
        connection: Within whose transaction.
        ref: Whose shipment.
        items: What it needs; each SKU once.
        warehouses: Those to take from, the best one first.

    Raises:
        PermanentError: A SKU has no stock record at all.
    """
    if len(items) == len(warehouses) == 1:
        wanted = Take(sku=items[0].sku, warehouse=warehouses[0], quantity=items[0].quantity)
        taken = await stock.take(connection, wanted, ref)
        if taken is not None:
            return Allocation((wanted,), () if taken.low is None else (taken.low,))
    skus = [item.sku for item in items]
    on_hand = await stock.lock_stock(connection, skus)
    known = {sku for sku, _ in on_hand}
    if unknown := [sku for sku in skus if sku not in known]:
        raise PermanentError("sku_unknown", f"SKU {unknown[0]} has no stock record: set its stock")
    queued = await queued_before(connection, ref, skus)
    short = [problem for item in items if (problem := _shortage(item, on_hand, warehouses, queued))]
    takes = None if short else allocate(items, on_hand, warehouses)
    if takes is None:
        return Shortage("; ".join(short))
    low = []
    for take in takes:
        taken = await stock.take(connection, take, ref, from_awaited=True)
        if taken is None:
            raise TransientError("stock_moved", "the stock has changed while it was locked")
        if taken.low is not None:
            low.append(taken.low)
    return Allocation(takes, tuple(low))


def _shortage(
    item: ParcelItem,
    on_hand: Mapping[tuple[str, str], int],
    warehouses: Sequence[str],
    queued: Mapping[str, int],
) -> str | None:
    total = sum(on_hand.get((item.sku, warehouse), 0) for warehouse in warehouses)
    before = queued.get(item.sku, 0)
    if total - before >= item.quantity:
        return None
    problem = f"SKU {item.sku}: {item.quantity} wanted, {total} on hand"
    if before and total:
        problem += f", {before} queued for by older orders"
    if unnamed := sum(on_hand[place] for place in on_hand if place[0] == item.sku) - total:
        problem += f", {unnamed} in warehouses that catalog.toml does not name"
    return problem
