"""The connection to PostgreSQL: one transaction at the edge, errors told in our own tree."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from domain.errors import PermanentError, TransientError

POOL_SIZE = 10
POOL_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 10_000

# SQLSTATE classes that say the statement or its data is wrong: the same try fails again.
_PERMANENT_CLASSES = frozenset({"22", "23", "42"})


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
    """

    def __init__(self, database_url: str) -> None:
        self._engine = create_async_engine(
            sqlalchemy_url(database_url),
            pool_size=POOL_SIZE,
            max_overflow=0,
            # Errors are logged; parameters are customers' data.
            hide_parameters=True,
            pool_timeout=POOL_TIMEOUT_S,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        Raises:
            PermanentError: The database refuses the statement or its data.
            TransientError: The database cannot be reached, or is busy.
        """
        try:
            async with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _translated(error) from error

    async def revision(self) -> str | None:
        """The migration that the database is at; None before the first one.

        Raises:
            TransientError: The database cannot be reached.
        """
        async with self.transaction() as connection:
            return await connection.run_sync(
                lambda sync: MigrationContext.configure(sync).get_current_revision()
            )


def _translated(error: SQLAlchemyError) -> PermanentError | TransientError:
    if isinstance(error, PoolTimeoutError):
        return TransientError("database_busy", "no database connection became free in time")
    if isinstance(error, DBAPIError):
        sqlstate = getattr(error.orig, "sqlstate", None) or ""
        # Only the SQLSTATE goes on: the driver's text may quote personal data.
        if sqlstate[:2] in _PERMANENT_CLASSES:
            return PermanentError("database_refused", f"the database refused: SQLSTATE {sqlstate}")
        detail = f"failed: SQLSTATE {sqlstate}" if sqlstate else "cannot be reached"
        return TransientError("database_unavailable", f"the database {detail}")
    return PermanentError("database_misused", f"{type(error).__name__} in a database statement")
