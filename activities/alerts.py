"""Alerts: recorded with what they tell of, then mailed to operators, several in one mail."""

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.messages import Messages
from activities.ports import Mailer, Outbox
from database.alerts import mark_mailed, read_unmailed, record_alert, record_overdue
from database.engine import Database
from domain.alerts import OVERDUE, Alert, cause_of, subject, text
from domain.errors import HELD_BY_OPERATOR
from domain.mail import Email
from domain.messages import MessageType

MOST_MAILED = 1_000
"""In one mail; the next one tells of those behind them."""


class Alerts:
    """Records what operators, and the merchant's application, are to be told of.

    Args:
        outbox: Has alerts mailed.
        messages: Tells the merchant's application.
        mailed: Whether there is somebody to mail to.
    """

    def __init__(self, outbox: Outbox, messages: Messages, *, mailed: bool) -> None:
        self._outbox = outbox
        self._messages = messages
        self._mailed = mailed

    async def record_stuck(
        self, connection: AsyncConnection, session_id: str, *, step: str, error: str
    ) -> str | None:
        """Records that a step needs an operator, once for each cause.

        Of what an operator has held back, operators are not told.

        Returns:
            What to `send` once it is committed.
        """
        cause = cause_of(error)
        if cause == HELD_BY_OPERATOR:
            return None
        alert = await record_alert(connection, session_id, step=step, cause=cause, detail=error)
        if alert is None:
            return None
        [message] = await self.record_messages(connection, [alert])
        return message or ""

    async def record_messages(
        self, connection: AsyncConnection, alerts: Sequence[Alert]
    ) -> list[str | None]:
        """Records what the merchant's application is told of alerts."""
        return [
            await self._messages.record(
                connection,
                MessageType.ORDER_OVERDUE
                if alert.cause == OVERDUE
                else MessageType.ORDER_ACTION_REQUIRED,
                {
                    "session_id": alert.session_id,
                    "step": alert.step,
                    "cause": alert.cause,
                    "detail": alert.detail,
                },
                alert.session_id,
            )
            for alert in alerts
        ]

    async def send(self, messages: Sequence[str | None]) -> None:
        """Has alerts told that were recorded; with none there is nothing to do.

        Raises:
            TransientError: Temporal did not accept it; the next sweep has them told.
        """
        if not messages:
            return
        await self._messages.send(*(each for each in messages if each))
        if self._mailed:
            await self._outbox.send_alerts()


class AlertActivities:
    """Activities on alerts.

    Args:
        database: Where they are recorded.
        alerts: Has them told.
        mailer: Sends mail.
        to: Operators' addresses; none: nothing is mailed.
        overdue_after: How long after its payment an order is late.
        order_url: Where an order's workflow is, up to its ID.
        public_url: Its host ends the Message-IDs.
    """

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        mailer: Mailer,
        to: Sequence[str],
        *,
        overdue_after: timedelta,
        order_url: str,
        public_url: str,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._mailer = mailer
        self._to = ", ".join(to)
        self._overdue_after = overdue_after
        self._order_url = order_url
        self._host = urlsplit(public_url).hostname or "localhost"

    @activity.defn
    async def mail_alerts(self) -> bool:
        """Mails all that operators were not told of yet, in one mail.

        A worker that dies in between mails it again, under the same Message-ID.

        Returns:
            Whether there was anything.

        Raises:
            PermanentError: The mail server refuses it.
            TransientError: The mail server cannot take it now.
        """
        async with self._database.transaction() as connection:
            unmailed = await read_unmailed(connection, MOST_MAILED)
        if not unmailed or not self._to:
            return False
        body = text(unmailed, self._order_url)
        await self._mailer.send(
            Email(
                to=self._to,
                subject=subject(unmailed),
                text=body,
                html=f"<pre>{escape(body)}</pre>",
                message_id=f"<alerts.{unmailed[0].id}-{unmailed[-1].id}@{self._host}>",
            )
        )
        async with self._database.transaction() as connection:
            await mark_mailed(connection, [alert.id for alert in unmailed])
        return True

    @activity.defn
    async def raise_overdue(self) -> int:
        """Records orders that are late, and has told what nobody was told of.

        Returns:
            How many have become late.

        Raises:
            TransientError: Temporal did not accept it.
        """
        async with self._database.transaction() as connection:
            late = await record_overdue(connection, self._overdue_after)
            messages = await self._alerts.record_messages(connection, late)
            is_left = bool(await read_unmailed(connection, 1))
        await self._alerts.send(messages or ([None] if is_left else []))
        return len(late)
