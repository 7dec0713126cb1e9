"""What may be forgotten after a while, and is deleted in small batches.

Not the rows that keep anything from being done twice, nor the books: docs/data.md lists both.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Table, delete, exists, func, select, tuple_

from database.engine import Database
from database.tables import (
    access_log,
    alerts,
    message_attempts,
    messages,
    orders,
    tracking_events,
)
from domain.messages import MessageState
from domain.orders import CLOSED_STATES

BATCH_ROWS = 1000
"""So many are deleted in one transaction, so that its locks are short."""


class Forgettable(NamedTuple):
    """A table of which old rows may go.

    Attributes:
        table: Which.
        at: How old a row is.
        is_over: What has to be so besides.
    """

    table: Table
    at: ColumnElement[datetime]
    is_over: ColumnElement[bool]


_IS_TOLD = exists().where(
    messages.c.id == message_attempts.c.message_id, messages.c.state != MessageState.PENDING
)
_IS_UNTRIED = ~exists().where(message_attempts.c.message_id == messages.c.id)
_IS_CLOSED = exists().where(
    orders.c.session_id == alerts.c.session_id, orders.c.state.in_(CLOSED_STATES)
)
FORGETTABLE = (
    Forgettable(access_log, access_log.c.at, access_log.c.id.is_not(None)),
    Forgettable(
        tracking_events, tracking_events.c.created_at, tracking_events.c.told_at.is_not(None)
    ),
    Forgettable(message_attempts, message_attempts.c.at, _IS_TOLD),
    # After the tries: one that was tried lately stays with them.
    Forgettable(
        messages, messages.c.created_at, (messages.c.state != MessageState.PENDING) & _IS_UNTRIED
    ),
    Forgettable(alerts, alerts.c.created_at, _IS_CLOSED),
)


async def count_old(database: Database, kind: Forgettable, before: datetime) -> int:
    """How many rows there are to be deleted."""
    async with database.transaction(may_last=True) as connection:
        found = select(func.count()).select_from(kind.table).where(kind.at < before, kind.is_over)
        return int(await connection.scalar(found) or 0)


async def delete_old(
    database: Database, kind: Forgettable, before: datetime
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Deletes old rows, a batch at a time.

    Yields:
        Each batch before it is deleted, whole: keep what is to be kept of it.
    """
    keys = list(kind.table.primary_key.columns)
    wanted = select(kind.table).where(kind.at < before, kind.is_over)
    async with (
        database.transaction(may_last=True) as reading,
        reading.stream(wanted, execution_options={"yield_per": BATCH_ROWS}) as rows,
    ):
        async for batch in rows.partitions():
            yield batch
            named = [tuple(getattr(row, key.name) for key in keys) for row in batch]
            async with database.transaction() as connection:
                await connection.execute(delete(kind.table).where(tuple_(*keys).in_(named)))
