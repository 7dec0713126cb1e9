"""A database that is busy, or hangs, is a passing trouble: soon told, and over when it is over."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg
import pytest
from sqlalchemy import text

from database.engine import Database, Limits
from domain.errors import TransientError

QUICK = Limits(pool_s=0.3, statement_s=0.5, lock_s=0.3, idle_s=0.5, transaction_s=1)
SOON_S = 5
"""Far less than what these limits are for real, and than what a hung call takes: for ever."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, pool_size=2, limits=QUICK) as opened:
        yield opened


@contextmanager
def frozen_server(database_url: str) -> Iterator[None]:
    """The server keeps its connections, takes new ones, and says nothing."""
    with psycopg.connect(database_url) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None
    processes = [server, *server.children(recursive=True)]
    _signal(processes, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(processes, signal.SIGCONT)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        # The process of a connection that has just been closed may be about to end.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


async def _troubled(database: Database, statement: str = "SELECT 1") -> str:
    began = time.monotonic()
    with pytest.raises(TransientError) as trouble:
        async with database.transaction() as connection:
            await connection.execute(text(statement))
    assert time.monotonic() - began < SOON_S
    return f"{trouble.value.code}: {trouble.value.message}"


async def test_what_is_in_a_transaction_at_the_end_closes_its_connection(database_url: str) -> None:
    connections = []
    begun = asyncio.Event()

    async def work(database: Database) -> None:
        async with database.transaction() as connection:
            connections.append((await connection.get_raw_connection()).driver_connection)
            begun.set()
            await connection.execute(text("SELECT pg_sleep(0.1)"))

    async with Database(database_url) as database:
        working = asyncio.create_task(work(database))
        await begun.wait()
    await working
    assert [connection.closed for connection in connections if connection] == [True]


async def _answers(database: Database) -> bool:
    async with database.transaction() as connection:
        return bool(await connection.scalar(text("SELECT 1")) == 1)


async def test_a_row_that_another_holds_is_not_waited_for_for_ever(
    database: Database, database_url: str
) -> None:
    insert = "INSERT INTO skus (sku) VALUES ('LOCKED')"
    async with await psycopg.AsyncConnection.connect(database_url) as holder:
        await holder.execute("INSERT INTO skus (sku) VALUES ('LOCKED')")
        assert await _troubled(database, insert) == (
            "database_unavailable: the database failed: SQLSTATE 55P03"
        )
        await holder.rollback()
    async with database.transaction() as connection:
        await connection.execute(text(insert))


async def test_a_slow_statement_is_ended(database: Database) -> None:
    said = await _troubled(database, "SELECT pg_sleep(60)")
    assert said == "database_unavailable: the database failed: SQLSTATE 57014"
    assert await _answers(database)


async def test_who_finds_all_connections_in_use_is_told_soon(database: Database) -> None:
    async with database.transaction(), database.transaction():
        assert (await _troubled(database)).startswith("database_busy: ")
    assert await _answers(database)


async def test_a_transaction_that_nobody_goes_on_with_gives_its_locks_free(
    database: Database, database_url: str
) -> None:
    insert = "INSERT INTO skus (sku) VALUES ('FORGOTTEN')"

    async def forget() -> None:
        async with database.transaction() as connection:
            await connection.execute(text(insert))
            async with await psycopg.AsyncConnection.connect(database_url) as other:
                # It waits for the first one's end, which comes although that one does nothing.
                await asyncio.wait_for(other.execute(insert), SOON_S)

    with pytest.raises(TransientError):
        await forget()
    assert await _answers(database)


async def test_a_server_that_hangs_is_given_up_and_used_again_once_it_answers(
    database: Database, database_url: str
) -> None:
    assert await _answers(database)
    with frozen_server(database_url):
        said = await _troubled(database)
    assert said == "database_unavailable: the database cannot be reached"
    assert await _answers(database)


async def test_an_export_may_take_longer(database: Database) -> None:
    async with database.transaction(may_last=True) as connection:
        await connection.execute(text("SELECT pg_sleep(0.7)"))
        await asyncio.sleep(0.7)
        assert await connection.scalar(text("SELECT 1")) == 1
