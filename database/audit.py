"""What people did to orders, and why."""

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import audit


async def record_act(
    connection: AsyncConnection, session_id: str, *, act: str, by: str, detail: str
) -> None:
    """Records what somebody did to an order.

    Args:
        connection: Within whose transaction: that of the act itself.
        session_id: Which order.
        act: What was done, as one stable word.
        by: Who did it: an operator, or `customer`.
        detail: To what, and why; no personal data.
    """
    row = {"session_id": session_id, "act": act, "by": by, "detail": detail}
    await connection.execute(insert(audit), row)
