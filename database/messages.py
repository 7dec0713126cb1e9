"""Messages to the merchant's own application, and the tries to deliver them."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import messages
from domain.messages import MessageState, MessageType

_RECORD = insert(messages)


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
    message_id = f"msg_{uuid4().hex}"
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
