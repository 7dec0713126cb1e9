"""Stock is never oversold, and every movement is on record."""

import asyncio
import os
import subprocess
import sys
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from database.engine import Database
from database.stock import put_back, read_stock, set_on_hand, take
from database.tables import stock_movements
from domain.errors import PermanentError
from domain.ids import FulfillmentRef

REF = FulfillmentRef(session_id="cs_test_stock", line_item_id="li_1", kind="shipment")


async def _on_hand(database: Database, sku: str) -> int:
    async with database.transaction() as connection:
        return (await read_stock(connection))[sku]


async def test_sixty_takers_of_forty_pieces(database_url: str) -> None:
    sku = f"SKU-{uuid4().hex}"
    async with Database(database_url) as database:
        async with database.transaction() as connection:
            await set_on_hand(connection, sku, 40)

        async def one() -> bool:
            try:
                async with database.transaction() as connection:
                    await take(connection, sku, 1, REF)
            except PermanentError:
                return False
            return True

        taken = await asyncio.gather(*(one() for _ in range(60)))
        assert sum(taken) == 40
        assert await _on_hand(database, sku) == 0
        async with database.transaction() as connection:
            await put_back(connection, sku, 3, REF)
            recorded = await connection.scalar(
                select(func.sum(stock_movements.c.quantity)).where(stock_movements.c.sku == sku)
            )
        assert await _on_hand(database, sku) == recorded == 3


async def test_an_unknown_sku_says_what_to_do(database_url: str) -> None:
    async with Database(database_url) as database:
        with pytest.raises(PermanentError, match="set its stock") as refusal:
            async with database.transaction() as connection:
                await take(connection, "NOBODY-KNOWS", 1, REF)
    assert refusal.value.code == "sku_unknown"


def test_the_command_line_sets_and_keeps_stock(database_url: str) -> None:
    sku = f"SKU-{uuid4().hex}"

    def stock(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "database.stock", *words],
            env={**os.environ, "DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            check=False,
        )

    assert f"7  {sku}\n" in stock("set", sku, "7", "--if-missing").stdout
    assert f"7  {sku}\n" in stock("set", sku, "9", "--if-missing").stdout
    assert f"9  {sku}\n" in stock("set", sku, "9").stdout
    assert f"9  {sku}\n" in stock("list").stdout
    assert "give pairs" in stock("set", sku).stderr
    assert "give pairs" in stock("set", sku, "-1").stderr
