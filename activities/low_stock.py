"""A SKU that runs low: the log and the merchant's application are told once per crossing."""

import logging
from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.messages import Messages
from database.stock import LowStock
from domain.messages import MessageType

logger = logging.getLogger(__name__)


async def record_low(
    connection: AsyncConnection, messages: Messages, low: Iterable[LowStock]
) -> tuple[str | None, ...]:
    """Records messages about SKUs that became low; returns what to send after the commit.

    Args:
        connection: Within whose transaction: the one that took the pieces.
        messages: Tells the merchant's application.
        low: Which SKUs.
    """
    recorded = []
    for each in low:
        logger.warning(
            "SKU %s is low: %d on hand, the threshold is %d", each.sku, each.on_hand, each.low_at
        )
        data = each.model_dump()
        recorded.append(await messages.record(connection, MessageType.STOCK_LOW, data))
    return tuple(recorded)
