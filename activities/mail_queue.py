"""Mails that are recorded with what they tell of, and sent by workflows of their own."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.mails import SendEmailInput
from activities.ports import Outbox
from database.emails import NewEmail, claim_email, mark_email_unsent, read_standing
from domain.mail import About, message_id


class MailQueue:
    """Records mails in the transaction of what they tell of; the sweep sends what is left behind.

    Args:
        outbox: Has them sent.
        public_url: Where customers reach this service; its host ends the Message-IDs.
    """

    def __init__(self, outbox: Outbox, public_url: str) -> None:
        self._outbox = outbox
        self._public_url = public_url

    async def add(
        self, connection: AsyncConnection, session_id: str, name: str, *, key: str, about: About
    ) -> SendEmailInput | None:
        """Records a mail to the order's customer; `send` it once that is committed.

        Args:
            connection: Within whose transaction; lock the order first.
            session_id: Which order.
            name: Which mail.
            key: What tells it from others of that name.
            about: What it is about.

        Returns:
            What to send; None where it was sent, there is no address, or the last mail to it
            bounced, of which the log tells.
        """
        row = NewEmail(
            session_id=session_id,
            name=name,
            key=key,
            message_id=message_id(session_id, name, key, self._public_url),
            about=about,
        )
        email = await claim_email(connection, row)
        if email is None or email.recipient is None:
            return None
        if (await read_standing(connection, email.recipient)).bounced:
            problem = "not sent: the last mail to this address bounced"
            await mark_email_unsent(connection, row, problem)
            return None
        return SendEmailInput(session_id=session_id, name=name, key=key)

    async def send(self, emails: Iterable[SendEmailInput | None]) -> None:
        """Has mails sent that were recorded.

        Raises:
            TransientError: Temporal did not accept it; the next sweep has them sent.
        """
        for email in emails:
            if email is not None:
                await self._outbox.send_email(email.session_id, email.name, email.key)
