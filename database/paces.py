"""Turns at outside systems that may only be asked so often, handed out to all processes."""

from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import paces


async def take_turn(
    connection: AsyncConnection, system: str, gap: timedelta, patience: timedelta
) -> timedelta | None:
    """Takes the next turn, unless it is too far ahead.

    The row is locked until the transaction ends, so end it before waiting.

    Args:
        connection: In a transaction.
        system: Whose turns.
        gap: Between two turns.
        patience: How far ahead it may be.

    Returns:
        In how long it is; None when it is further ahead, and nothing was taken.
    """
    # What the clock shows, and not when the transaction began: it may have waited for the row.
    clock = func.clock_timestamp()
    first = insert(paces).values(system=system, next_at=clock + gap)
    taken = first.on_conflict_do_update(
        index_elements=[paces.c.system],
        set_={"next_at": func.greatest(paces.c.next_at, clock) + gap},
        where=paces.c.next_at <= clock + patience,
    ).returning((paces.c.next_at - gap - clock).label("wait"))
    wait: timedelta | None = await connection.scalar(taken)
    return None if wait is None else max(wait, timedelta(0))
