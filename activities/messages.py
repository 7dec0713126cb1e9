"""Messages to the merchant's own application: recorded with what they tell of, delivered later."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.ports import AppWebhook, Outbox
from database.engine import Database
from database.messages import read_message, record_attempt, record_message
from domain.errors import PermanentError, TransientError
from domain.messages import MessageState, MessageType

logger = logging.getLogger(__name__)


class DeliverMessageInput(BaseModel):
    """Which message to try to deliver.

    `again` sends it also when it was delivered, or given up. `last` says that no try follows.
    """

    model_config = ConfigDict(frozen=True)

    message_id: str
    again: bool = False
    last: bool = False


class DeliverMessageResult(BaseModel):
    """How the message stands now, and the earliest next try where the receiver named one."""

    model_config = ConfigDict(frozen=True)

    state: MessageState
    retry_after: timedelta | None = None


class Messages:
    """Tells the merchant's application what happens, where there is one.

    What is told is recorded in the transaction of what it tells of, and sent after that:

        async with database.transaction() as connection:
            message = await messages.record(connection, MessageType.STOCK_LOW, {...})
        await messages.send(message)

    Args:
        outbox: Has messages delivered.
        wanted: Whether there is somebody to tell; else nothing is recorded.
    """

    def __init__(self, outbox: Outbox, *, wanted: bool) -> None:
        self._outbox = outbox
        self._wanted = wanted

    async def record(
        self,
        connection: AsyncConnection,
        message_type: MessageType,
        data: Mapping[str, Any],
        session_id: str | None = None,
    ) -> str | None:
        """Writes a message down; returns its ID, None where nobody is to be told.

        Args:
            connection: Within whose transaction.
            message_type: What it is about.
            data: What it says, as JSON.
            session_id: The order that it belongs to, if there is one.
        """
        if not self._wanted:
            return None
        return await record_message(connection, message_type, data, session_id)

    async def send(self, *message_ids: str | None) -> None:
        """Has recorded messages delivered; call it once they are committed.

        What Temporal does not accept now, the next sweep sends.
        """
        for message_id in message_ids:
            if message_id is None:
                continue
            try:
                await self._outbox.send_message(message_id)
            except TransientError as error:
                logger.warning("the next sweep sends %s: %s", message_id, error.message)


class MessageActivities:
    """Activities on messages.

    Args:
        database: Where messages and tries are recorded.
        app: The merchant's application.
    """

    def __init__(self, database: Database, app: AppWebhook) -> None:
        self._database = database
        self._app = app

    @activity.defn
    async def deliver_message(self, request: DeliverMessageInput) -> DeliverMessageResult:
        """Tries to deliver a message that is to be sent, and logs how that ended.

        A worker that dies in between sends it again, under the same ID.

        Raises:
            PermanentError: There is no such message.
        """
        async with self._database.transaction() as connection:
            message = await read_message(connection, request.message_id)
        if message is None:
            raise PermanentError("message_unknown", "there is no such message")
        if message.is_erased:
            return DeliverMessageResult(state=MessageState.FAILED)
        if message.state is not MessageState.PENDING and not request.again:
            return DeliverMessageResult(state=message.state)
        attempt = await self._app.deliver(message)
        if attempt.is_success:
            state = MessageState.DELIVERED
        elif attempt.is_last or request.last:
            state = MessageState.FAILED
        else:
            state = MessageState.PENDING
        async with self._database.transaction() as connection:
            state = await record_attempt(connection, message.id, attempt, state)
        return DeliverMessageResult(state=state, retry_after=attempt.retry_after)
