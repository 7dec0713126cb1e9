"""The e-mail log: what was or is being mailed, one row per order and mail."""

from datetime import datetime

from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SESSION
from database.tables import emails

RECEIPT = "receipt"
PAYMENT_FAILED = "payment_failed"

_IS_EMAIL = and_(emails.c.session_id == SESSION, emails.c.name == bindparam("ref_name"))
_CLAIM = insert(emails).on_conflict_do_nothing().returning(emails.c.name)
_SENT_AT = select(emails.c.sent_at).where(_IS_EMAIL).with_for_update()
_MARK_SENT = update(emails).where(_IS_EMAIL).values(sent_at=func.now())


async def claim_email(
    connection: AsyncConnection, session_id: str, name: str, *, recipient: str, message_id: str
) -> datetime | None:
    """Writes the row that stands before the mail is sent.

    Returns:
        When the mail was sent already, or None when it is still to be sent.
    """
    row = {
        "session_id": session_id,
        "name": name,
        "recipient": recipient,
        "message_id": message_id,
    }
    if await connection.scalar(_CLAIM, row) is not None:
        return None
    sent_at: datetime | None = await connection.scalar(_SENT_AT, _naming(session_id, name))
    return sent_at


async def mark_email_sent(connection: AsyncConnection, session_id: str, name: str) -> None:
    """Records that the mail server accepted the mail."""
    await connection.execute(_MARK_SENT, _naming(session_id, name))


def _naming(session_id: str, name: str) -> dict[str, str]:
    return {SESSION.key: session_id, "ref_name": name}
