"""Stock is never oversold, every movement is on record, and who runs low is told once."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from activities.allocation import Allocation, Shortage, take_pieces
from database.backorders import join_queue
from database.engine import Database
from database.stock import (
    LowStock,
    put_back,
    read_stock,
    receive,
    set_on_hand,
    set_stock,
    take,
)
from database.tables import stock_movements
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.shipping import ParcelItem
from domain.stock import MAIN_WAREHOUSE, Take
from tests.harness.paid_orders import record_shipments

REF = FulfillmentRef(session_id="cs_test_stock", line_item_id="li_1", kind="shipment")


def _new_sku() -> str:
    return f"SKU-{uuid4().hex}"


def _of(sku: str, quantity: int = 1, warehouse: str = MAIN_WAREHOUSE) -> Take:
    return Take(sku=sku, warehouse=warehouse, quantity=quantity)


async def _on_hand(database: Database, sku: str) -> dict[str, int]:
    async with database.transaction() as connection:
        levels = await read_stock(connection)
    return {level.warehouse: level.on_hand for level in levels if level.sku == sku}


async def test_sixty_takers_of_forty_pieces(database_url: str) -> None:
    sku = _new_sku()
    async with Database(database_url) as database:
        async with database.transaction() as connection:
            await set_on_hand(connection, sku, 40)

        async def one() -> bool:
            async with database.transaction() as connection:
                return await take(connection, _of(sku), REF) is not None

        taken = await asyncio.gather(*(one() for _ in range(60)))
        assert sum(taken) == 40
        assert await _on_hand(database, sku) == {MAIN_WAREHOUSE: 0}
        async with database.transaction() as connection:
            await put_back(connection, [(_of(sku, 3), REF)])
            recorded = await connection.scalar(
                select(func.sum(stock_movements.c.quantity)).where(stock_movements.c.sku == sku)
            )
        assert recorded == 3
        assert await _on_hand(database, sku) == {MAIN_WAREHOUSE: 3}


async def test_each_warehouse_has_its_own_stock(database_url: str) -> None:
    sku = _new_sku()
    async with Database(database_url) as database:
        async with database.transaction() as connection:
            await set_on_hand(connection, sku, 2, "berlin")
            await receive(connection, sku, 5, "paris")
            await receive(connection, sku, 1, "paris")
            assert await take(connection, _of(sku, 3, "berlin"), REF) is None
            assert await take(connection, _of(sku, 3, "paris"), REF) is not None
            assert await take(connection, _of(sku, 3, "nowhere"), REF) is None
        assert await _on_hand(database, sku) == {"berlin": 2, "paris": 3}


async def test_counting_the_same_again_moves_nothing(database_url: str) -> None:
    sku = _new_sku()
    counts = {(sku, "berlin"): 7, (sku, "paris"): 2}
    async with Database(database_url) as database, database.transaction() as connection:
        await set_stock(connection, counts, {})
        await set_stock(connection, counts, {})
        moved = await connection.scalars(
            select(stock_movements.c.quantity).where(stock_movements.c.sku == sku)
        )
        assert sorted(moved) == [2, 7]


async def test_a_sku_becomes_low_once_per_crossing_of_all_warehouses_together(
    database_url: str,
) -> None:
    sku = _new_sku()
    async with Database(database_url) as database, database.transaction() as connection:
        await set_on_hand(connection, sku, 3, "berlin")
        await set_on_hand(connection, sku, 3, "paris")
        assert await set_stock(connection, {}, {sku: 4}) == ()

        async def low_after_taking(warehouse: str) -> int | None:
            taken = await take(connection, _of(sku, 1, warehouse), REF)
            assert taken is not None
            return taken.low.on_hand if taken.low else None

        assert await low_after_taking("berlin") is None
        assert await low_after_taking("paris") == 4
        assert await low_after_taking("paris") is None
        await put_back(connection, [(_of(sku, 2, "paris"), REF)])
        [low] = await set_on_hand(connection, sku, 0, "paris")
        assert (low.sku, low.on_hand, low.low_at) == (sku, 2, 4)
        assert await set_stock(connection, {}, {sku: None}) == ()
        assert [level.is_low for level in await read_stock(connection) if level.sku == sku] == [
            False,
            False,
        ]


async def test_takers_at_the_same_moment_miss_no_crossing(database_url: str) -> None:
    sku = _new_sku()
    async with Database(database_url) as database:
        async with database.transaction() as connection:
            await set_on_hand(connection, sku, 20)
            await set_stock(connection, {}, {sku: 10})

        async def one() -> LowStock | None:
            async with database.transaction() as connection:
                taken = await take(connection, _of(sku), REF)
                return taken.low if taken else None

        crossings = [low for low in await asyncio.gather(*(one() for _ in range(20))) if low]
    assert crossings == [LowStock(sku=sku, on_hand=10, low_at=10)]


async def test_opposite_imports_at_the_same_moment_wait_for_each_other(database_url: str) -> None:
    new = [_new_sku() for _ in range(20)]
    async with Database(database_url) as database:

        async def count(of_skus: list[str], on_hand: int) -> None:
            async with database.transaction() as connection:
                await set_stock(connection, {(sku, "main"): on_hand for sku in of_skus}, {})

        await asyncio.gather(*(count(new[::step], 5) for step in (1, -1) * 5))
        assert [await _on_hand(database, sku) for sku in new] == [{MAIN_WAREHOUSE: 5}] * 20


async def test_a_shortage_tells_what_there_is_and_why_it_does_not_help(database_url: str) -> None:
    sku = _new_sku()
    wanted = [ParcelItem(sku=sku, quantity=3, weight_grams=1)]
    async with Database(database_url) as database:
        async with database.transaction() as connection:
            await set_stock(connection, {(sku, "berlin"): 2, (sku, MAIN_WAREHOUSE): 9}, {})
            short = await take_pieces(connection, REF, wanted, ["berlin"])
        assert short == Shortage(
            f"SKU {sku}: 3 wanted, 2 on hand, 9 in warehouses that catalog.toml does not name"
        )
        [queued] = await record_shipments(database)
        async with database.transaction() as connection:
            await join_queue(connection, queued, wanted)
            taken = await take_pieces(connection, REF, wanted, ["berlin", MAIN_WAREHOUSE])
            assert taken == Allocation((_of(sku, 3),))
            left = [ParcelItem(sku=sku, quantity=6, weight_grams=1)]
            short = await take_pieces(connection, REF, left, ["berlin", MAIN_WAREHOUSE])
        assert short == Shortage(f"SKU {sku}: 6 wanted, 8 on hand, 3 queued for by older orders")
        unknown = [ParcelItem(sku=f"{sku}-X", quantity=1, weight_grams=1)]
        async with database.transaction() as connection:
            with pytest.raises(PermanentError, match="has no stock record"):
                await take_pieces(connection, REF, unknown, [MAIN_WAREHOUSE])
