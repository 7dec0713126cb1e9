"""The connection to PostgreSQL: one transaction at the edge, errors told in our own tree."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from sqlalchemy import make_url, text
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from domain.errors import DataRefusedError, PermanentError, TransientError

POOL_SIZE = 10
"""Connections per process: a worker's activities share them, each for milliseconds."""
CONNECT_TIMEOUT_S = 5

_WITHOUT_LIMITS = text(
    "SELECT set_config('statement_timeout', '0', true), "
    "set_config('idle_in_transaction_session_timeout', '0', true)"
)
# SQLSTATE classes that say the statement is wrong: the same try fails again.
_PERMANENT_CLASSES = frozenset({"23", "42"})


@dataclass(frozen=True)
class Limits:
    """How long anything about the database may take.

    Attributes:
        pool_s: To wait for a connection, while all are in use.
        statement_s: One statement.
        lock_s: To wait for a row that another transaction holds.
        idle_s: A transaction that nobody goes on with: its process is frozen, or cut off. The
            server ends it then, and gives its locks free.
        transaction_s: A whole transaction, by our own clock: a server that hangs keeps no limit.
    """

    pool_s: float = 5
    statement_s: float = 10
    lock_s: float = 5
    idle_s: float = 30
    transaction_s: float = 15

    @property
    def options(self) -> str:
        """Those that the server keeps, as it reads them."""
        milliseconds = {
            "statement_timeout": self.statement_s,
            "lock_timeout": self.lock_s,
            "idle_in_transaction_session_timeout": self.idle_s,
        }
        return " ".join(f"-c {name}={int(limit * 1000)}" for name, limit in milliseconds.items())


def sqlalchemy_url(database_url: str) -> str:
    """Turns a libpq URL into SQLAlchemy's, for the psycopg 3 driver."""
    return (
        make_url(database_url)
        .set(drivername="postgresql+psycopg")
        .render_as_string(hide_password=False)
    )


class Database:
    """A pool of connections to one PostgreSQL database.

    Args:
        database_url: A libpq URL, `postgresql://user:password@host/name`.
        pool_size: The most connections that are open at once.
        limits: How long anything may take.
    """

    def __init__(
        self, database_url: str, pool_size: int = POOL_SIZE, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._transactions = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._engine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=pool_size,
            max_overflow=0,
            # Errors are logged; parameters are customers' data.
            hide_parameters=True,
            pool_timeout=self._limits.pool_s,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": f"{self._limits.options} -c timezone=UTC",
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # A connection that came back later would find its pool gone, and stay open.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._unused.wait(), self._limits.pool_s)
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self, *, may_last: bool = False) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        Args:
            may_last: Whether it may take longer than what customers wait for.

        Raises:
            PermanentError: The database refuses the statement or its data.
            TransientError: The database cannot be reached, is busy, or does not answer.
        """
        self._transactions += 1
        self._unused.clear()
        try:
            async with self._engine.begin() as connection:
                if may_last:
                    await connection.execute(_WITHOUT_LIMITS)
                    yield connection
                    return
                driver: Any = (await connection.get_raw_connection()).driver_connection
                end = asyncio.get_running_loop().call_later(
                    self._limits.transaction_s, _hang_up, driver
                )
                try:
                    yield connection
                finally:
                    end.cancel()
        except SQLAlchemyError as error:
            raise _translated(error) from error
        finally:
            self._transactions -= 1
            if not self._transactions:
                self._unused.set()

    async def revision(self) -> str | None:
        """The migration that the database is at; None before the first one.

        Raises:
            TransientError: The database cannot be reached.
        """
        async with self.transaction() as connection:
            if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
                return None
            revision: str | None = await connection.scalar(
                text("SELECT version_num FROM alembic_version")
            )
            return revision


def _hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """Cuts a connection off, so that whatever waits for it fails at once.

    To cancel what waits would ask the server first, and wait for that.
    """
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as wire, suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


def _translated(error: SQLAlchemyError) -> PermanentError | TransientError:
    if isinstance(error, PoolTimeoutError):
        return TransientError("database_busy", "no database connection became free in time")
    if isinstance(error, DBAPIError):
        sqlstate = getattr(error.orig, "sqlstate", None) or ""
        # Only the SQLSTATE goes on: the driver's text may quote personal data.
        if isinstance(error, DataError):
            # Also of what never left: a text with a NUL in it has no SQLSTATE.
            return DataRefusedError(f"the database takes no such value: SQLSTATE {sqlstate}")
        if sqlstate[:2] in _PERMANENT_CLASSES:
            return PermanentError("database_refused", f"the database refused: SQLSTATE {sqlstate}")
        detail = f"failed: SQLSTATE {sqlstate}" if sqlstate else "cannot be reached"
        return TransientError("database_unavailable", f"the database {detail}")
    return PermanentError("database_misused", f"{type(error).__name__} in a database statement")
