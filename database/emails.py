"""The e-mail log: what was or is being mailed, one row per order and mail."""

from datetime import datetime

from sqlalchemy import and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import emails

RECEIPT = "receipt"


async def claim_email(
    connection: AsyncConnection, session_id: str, name: str, *, recipient: str, message_id: str
) -> datetime | None:
    """Writes the row that stands before the mail is sent.

    Returns:
        When the mail was sent already, or None when it is still to be sent.
    """
    claimed = await connection.scalar(
        insert(emails)
        .values(session_id=session_id, name=name, recipient=recipient, message_id=message_id)
        .on_conflict_do_nothing()
        .returning(emails.c.name)
    )
    if claimed is not None:
        return None
    sent_at: datetime | None = await connection.scalar(
        select(emails.c.sent_at)
        .where(and_(emails.c.session_id == session_id, emails.c.name == name))
        .with_for_update()
    )
    return sent_at


async def mark_email_sent(connection: AsyncConnection, session_id: str, name: str) -> None:
    """Records that the mail server accepted the mail."""
    await connection.execute(
        update(emails)
        .where(and_(emails.c.session_id == session_id, emails.c.name == name))
        .values(sent_at=func.now())
    )
