"""What was done to orders, by whom, and why."""

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import audit

STRIPE = "stripe"
"""Who does what follows from a refund or dispute that was not asked for here."""
SERVICE = "service"
"""Who carries out what others have decided."""


async def record_act(
    connection: AsyncConnection, session_id: str, *, act: str, by: str, detail: str
) -> None:
    """Records what somebody did to an order.

    Args:
        connection: Within whose transaction: that of the act itself.
        session_id: Which order.
        act: What was done, as one stable word.
        by: Who did it: an operator, `customer`, or one of the names below.
        detail: To what, and why; no personal data.
    """
    row = {"session_id": session_id, "act": act, "by": by, "detail": detail}
    await connection.execute(insert(audit), row)
