"""Refunds that operators ask for: recorded, made at Stripe, and taken back as any other."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from activities.desk import NOTHING_LEFT, NOTHING_PAID, ORDER_UNKNOWN
from api.order_paths import SessionId, no_order
from api.orders import require_operator
from api.responses import NO_ORDER, UNAUTHORIZED, UNREADABLE
from api.services import ServicesOf
from database.orders import read_states
from database.refunds import read_requests
from domain.errors import PermanentError
from domain.formats import StorableText
from domain.refunds import REQUEST_PREFIX, RefundReason, RefundRequest

_STATUS = {ORDER_UNKNOWN: 404, NOTHING_PAID: 409, NOTHING_LEFT: 422}
router = APIRouter(
    tags=["Reversals"],
    dependencies=[Depends(require_operator)],
    responses={**UNAUTHORIZED, **NO_ORDER},
)


class RefundOrder(BaseModel):
    """What to give back, and why."""

    model_config = ConfigDict(extra="forbid")

    lines: Annotated[dict[str, PositiveInt], Field(min_length=1)] | None = None
    """Pieces by line item; without them, and without an amount, all that is left."""
    amount_minor: PositiveInt | None = None
    """How much, in the order's currency; by default what the pieces were paid. Without `lines` the
    customer keeps everything."""
    reason: RefundReason | None = None
    by: StorableText = Field(min_length=1, max_length=200)
    note: StorableText = Field(default="", max_length=1000)
    """Why; no personal data."""


IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=16,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key answers the same refund: a random one, such as a UUID, sent "
        "with each try.",
    ),
]


@router.get("/orders/{session_id}/refunds")
async def list_refunds(session_id: SessionId, services: ServicesOf) -> tuple[RefundRequest, ...]:
    """The refunds that were asked for here, the oldest first; see also its reversals."""
    async with services.database.transaction() as connection:
        if not await read_states(connection, [session_id]):
            raise no_order()
        return await read_requests(connection, session_id)


@router.post(
    "/orders/{session_id}/refunds",
    status_code=202,
    responses={
        **UNREADABLE,
        409: {"description": "It was not paid, or the Idempotency-Key belongs to another refund"},
        422: {"description": "So much is not there to be refunded"},
        503: {"description": "Not recorded: try again with the same Idempotency-Key"},
    },
)
async def refund_order(
    session_id: SessionId,
    asked: RefundOrder,
    services: ServicesOf,
    idempotency_key: IdempotencyKey = None,
) -> RefundRequest:
    """Refunds an order, or a part of it."""
    request_id = _request_id(session_id, idempotency_key)
    try:
        made = await services.desk.refund(session_id, request_id=request_id, **dict(asked))
    except PermanentError as error:
        raise HTTPException(_STATUS[error.code], error.message) from error
    _check_same(made, asked)
    return made


def _request_id(session_id: str, idempotency_key: str | None) -> str | None:
    if idempotency_key is None:
        return None
    named = f"{session_id}:{idempotency_key}"
    return f"{REQUEST_PREFIX}{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _check_same(made: RefundRequest, asked: RefundOrder) -> None:
    amount_minor = made.amount.amount_minor if made.amount else None
    if (asked.lines is not None and asked.lines != made.lines) or (
        asked.amount_minor is not None and asked.amount_minor != amount_minor
    ):
        raise HTTPException(409, "this Idempotency-Key belongs to another refund")
