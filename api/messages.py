"""What the merchant's own application was told, and every try to tell it, for operators."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query

from api.orders import require_operator
from api.responses import NO_MESSAGE, UNAUTHORIZED
from api.services import ServicesOf
from database.messages import read_attempts, read_message, read_messages
from domain.messages import DeliveryAttempt, Message, MessageState, is_message_id

router = APIRouter(
    prefix="/messages",
    tags=["Messages"],
    dependencies=[Depends(require_operator)],
    responses=UNAUTHORIZED,
)
MOST_LISTED = 100


class MessageLog(Message):
    """A message with every try to deliver it, the first one first."""

    attempts: tuple[DeliveryAttempt, ...]


@router.get("")
async def list_messages(
    services: ServicesOf,
    state: MessageState | None = None,
    before: Annotated[str | None, Query(pattern="^msg_[0-9a-f]{32}$")] = None,
) -> tuple[Message, ...]:
    """The newest hundred messages; `before` is the ID of the last one of the page before."""
    async with services.database.transaction() as connection:
        return await read_messages(connection, state, before, MOST_LISTED)


@router.get("/{message_id}", responses=NO_MESSAGE)
async def get_message(message_id: str, services: ServicesOf) -> MessageLog:
    """One message with its tries."""
    message = await _read(message_id, services)
    async with services.database.transaction() as connection:
        attempts = await read_attempts(connection, message_id)
    return MessageLog(**message.model_dump(), attempts=attempts)


@router.post(
    "/{message_id}/redeliver",
    status_code=202,
    responses={
        **NO_MESSAGE,
        410: {"description": "What it said was erased with its customer's data"},
        503: {"description": "Not accepted now: ask again"},
    },
)
async def redeliver_message(message_id: str, services: ServicesOf) -> Message:
    """Delivers a message once more, now, under its own ID; its tries begin anew."""
    message = await _read(message_id, services)
    if message.is_erased:
        raise HTTPException(410, "what it said was erased")
    await services.outbox.redeliver_message(message_id)
    return message


async def _read(message_id: str, services: ServicesOf) -> Message:
    if not is_message_id(message_id):
        raise HTTPException(404, "not a message ID")
    async with services.database.transaction() as connection:
        message = await read_message(connection, message_id)
    if message is None:
        raise HTTPException(404, "no such message")
    return message
