"""The queue for stock: who waits in it is told when pieces come."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import Fulfillments
from database.backorders import read_ready
from database.engine import Database
from database.reservations import release_expired

MOST_WOKEN = 1_000
"""Shipments that are told at once; those behind them hear of it with the next sweep."""


class StockQueue:
    """Wakes shipments that wait for stock.

    Each takes its pieces itself, in its own transaction and in the queue's order; to be woken in
    vain costs it one look.

    Args:
        database: Where stock and queue are recorded.
        fulfillments: Wakes the workflows of orders.
    """

    def __init__(self, database: Database, fulfillments: Fulfillments) -> None:
        self._database = database
        self._fulfillments = fulfillments

    async def wake_ready(self) -> int:
        """Wakes those for which stock has come, the oldest first; returns how many.

        Call it once what changed the stock is committed.

        Raises:
            TransientError: Temporal did not accept it; the next sweep tells them.
        """
        async with self._database.transaction() as connection:
            ready = await read_ready(connection, MOST_WOKEN)
        for waiting in ready:
            ref = waiting.ref
            await self._fulfillments.wake(ref.session_id, ref.step, account=waiting.account)
        return len(ready)


class KeepStockResult(BaseModel):
    """What was kept in order.

    Attributes:
        expired: How many rows of reservations ended, because their time was over.
        woken: How many shipments were told that their stock has come.
    """

    model_config = ConfigDict(frozen=True)

    expired: int
    woken: int


class StockActivities:
    """What is done about stock on a schedule.

    Args:
        database: Where stock and queue are recorded.
        queue: Who waits for stock.
    """

    def __init__(self, database: Database, queue: StockQueue) -> None:
        self._database = database
        self._queue = queue

    @activity.defn
    async def keep_stock(self) -> KeepStockResult:
        """Puts back what was reserved for too long, and wakes whom nobody has told of stock."""
        async with self._database.transaction() as connection:
            expired = await release_expired(connection)
        return KeepStockResult(expired=expired, woken=await self._queue.wake_ready())
