"""Messages to the merchant's own application, and the tries to deliver them."""

import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Text,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import message_attempts, messages
from domain.messages import DeliveryAttempt, Message, MessageState, MessageType

_RECORD = insert(messages)
_ID = bindparam("ref_message_id", type_=Text)
_READ = select(messages).where(messages.c.id == _ID)


async def record_message(
    connection: AsyncConnection,
    message_type: MessageType,
    data: Mapping[str, Any],
    session_id: str | None = None,
) -> str:
    """Writes down what is to be told, together with what it tells of; returns the message's ID.

    Args:
        connection: Within whose transaction.
        message_type: What it is about.
        data: What it says, as JSON.
        session_id: The order that it belongs to, if there is one.
    """
    message_id = _new_id()
    await connection.execute(
        _RECORD,
        {
            "id": message_id,
            "type": message_type,
            "session_id": session_id,
            "data": dict(data),
            "state": MessageState.PENDING,
        },
    )
    return message_id


def _new_id() -> str:
    """An ID that sorts by time."""
    return f"msg_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


async def read_message(connection: AsyncConnection, message_id: str) -> Message | None:
    """One message, or None when there is none."""
    row = (await connection.execute(_READ, {_ID.key: message_id})).one_or_none()
    return None if row is None else Message.model_validate(row, from_attributes=True)


async def read_messages(
    connection: AsyncConnection, state: MessageState | None, before: str | None, limit: int
) -> tuple[Message, ...]:
    """Messages, the newest first.

    Args:
        connection: Within whose transaction.
        state: Only those in this state.
        before: Only those that are older than the one of this ID.
        limit: The most to return.
    """
    wanted = select(messages).order_by(messages.c.id.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(messages.c.state == state)
    if before is not None:
        wanted = wanted.where(messages.c.id < before)
    rows = await connection.execute(wanted)
    return tuple(Message.model_validate(row, from_attributes=True) for row in rows)


async def read_attempts(
    connection: AsyncConnection, message_id: str
) -> tuple[DeliveryAttempt, ...]:
    """All tries to deliver a message, the first one first."""
    rows = await connection.execute(
        select(message_attempts)
        .where(message_attempts.c.message_id == message_id)
        .order_by(message_attempts.c.number)
    )
    return tuple(DeliveryAttempt.model_validate(row, from_attributes=True) for row in rows)


async def record_attempt(
    connection: AsyncConnection, message_id: str, attempt: DeliveryAttempt, state: MessageState
) -> MessageState:
    """Logs a try, and how the message stands after it.

    Returns:
        That state; failed instead of pending where the message was erased meanwhile.
    """
    # Locked, so that two tries at once get two numbers.
    row = (await connection.execute(_READ.with_for_update(), {_ID.key: message_id})).one()
    if (
        state is MessageState.PENDING
        and Message.model_validate(row, from_attributes=True).is_erased
    ):
        state = MessageState.FAILED
    await connection.execute(
        update(messages).where(messages.c.id == message_id).values(state=state)
    )
    number = (
        select(func.coalesce(func.max(message_attempts.c.number), 0) + 1)
        .where(message_attempts.c.message_id == message_id)
        .scalar_subquery()
    )
    await connection.execute(
        insert(message_attempts).values(
            message_id=message_id,
            number=number,
            **attempt.model_dump(include={"at", "duration_ms", "status_code", "error"}),
        )
    )
    return state


async def read_unsent(
    connection: AsyncConnection, quiet_for: timedelta, untried_for: timedelta, limit: int
) -> tuple[str, ...]:
    """Messages that nobody seems to be sending, the oldest first.

    Args:
        connection: Within whose transaction.
        quiet_for: How old a message is that should have been tried once.
        untried_for: How long ago the last try was of one that should have been tried again.
        limit: The most to return.
    """
    tried_lately = exists().where(
        message_attempts.c.message_id == messages.c.id,
        message_attempts.c.at > func.now() - untried_for,
    )
    rows = await connection.scalars(
        select(messages.c.id)
        .where(
            messages.c.state == MessageState.PENDING,
            messages.c.created_at < func.now() - quiet_for,
            ~tried_lately,
        )
        .order_by(messages.c.id)
        .limit(limit)
    )
    return tuple(rows)
