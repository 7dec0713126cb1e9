"""What was done to orders, by whom, and why."""

from datetime import datetime, timedelta

from sqlalchemy import exists, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import audit, orders

_SKEW = timedelta(minutes=1)
"""How much the clocks of Temporal and of the database may differ."""
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


async def record_act_once(
    connection: AsyncConnection,
    session_id: str,
    *,
    act: str,
    by: str,
    detail: str,
    since: datetime,
) -> None:
    """As `record_act`, of what the record itself does not tell to have been done.

    Lock the order first. The same act since it was decided on is another try's of the activity;
    of an order that is not recorded nothing is recorded.
    """
    same = exists().where(
        audit.c.session_id == session_id,
        audit.c.act == act,
        audit.c.by == by,
        audit.c.detail == detail,
        audit.c.created_at > since - _SKEW,
    )
    row = select(orders.c.session_id, literal(act), literal(by), literal(detail)).where(
        orders.c.session_id == session_id, ~same
    )
    await connection.execute(insert(audit).from_select(["session_id", "act", "by", "detail"], row))
