"""Refunds that were asked for, here and not in Stripe's Dashboard."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SESSION
from database.tables import refund_requests
from domain.money import Money
from domain.refunds import RefundRequest, RefundState

_ID = refund_requests.c.id == bindparam("of_id")
_READ = select(refund_requests).where(_ID)
_READ_OF_ORDER = (
    select(refund_requests)
    .where(refund_requests.c.session_id == SESSION)
    .order_by(refund_requests.c.created_at, refund_requests.c.id)
)
_SAVE = insert(refund_requests).returning(refund_requests)


async def save_request(
    connection: AsyncConnection, request: dict[str, Any], amount: Money | None
) -> RefundRequest:
    """Records what is asked for; lock the order first."""
    sums = {
        "amount_minor": amount.amount_minor if amount else None,
        "currency": amount.currency if amount else None,
    }
    row = await connection.execute(_SAVE, {**request, **sums, "state": RefundState.REQUESTED})
    return _request(row.one())


async def read_request(connection: AsyncConnection, request_id: str) -> RefundRequest | None:
    """What was asked for under an ID; None when nothing was."""
    row = (await connection.execute(_READ, {"of_id": request_id})).one_or_none()
    return None if row is None else _request(row)


async def read_requests(connection: AsyncConnection, session_id: str) -> tuple[RefundRequest, ...]:
    """All that was asked for of an order, the oldest first."""
    rows = await connection.execute(_READ_OF_ORDER, {SESSION.key: session_id})
    return tuple(_request(row) for row in rows)


async def mark_request(
    connection: AsyncConnection,
    request_id: str,
    state: RefundState,
    refund_id: str | None = None,
) -> bool:
    """Records how a request ended; tells whether it was open until now."""
    ended = await connection.execute(
        update(refund_requests)
        .where(refund_requests.c.id == request_id, refund_requests.c.state == RefundState.REQUESTED)
        .values(state=state, refund_id=refund_id)
        .returning(refund_requests.c.id)
    )
    return ended.one_or_none() is not None


async def note_refusal(connection: AsyncConnection, request: RefundRequest) -> None:
    """Counts that Stripe has refused what this request says."""
    await connection.execute(
        update(refund_requests)
        .where(refund_requests.c.id == request.id)
        .values(refusals=request.refusals + 1)
    )


async def read_unmade(connection: AsyncConnection, quiet_for: timedelta, limit: int) -> list[str]:
    """Requests that are open, and have been for a while."""
    rows = await connection.scalars(
        select(refund_requests.c.id)
        .where(
            refund_requests.c.state == RefundState.REQUESTED,
            refund_requests.c.updated_at < func.now() - quiet_for,
        )
        .order_by(refund_requests.c.updated_at)
        .limit(limit)
    )
    return list(rows)


def _request(row: Row[Any]) -> RefundRequest:
    amount = (
        None
        if row.amount_minor is None
        else Money(amount_minor=row.amount_minor, currency=row.currency)
    )
    values = {
        name: value
        for name, value in row._mapping.items()  # noqa: SLF001 - SQLAlchemy's public name for it
        if name in RefundRequest.model_fields
    }
    return RefundRequest(**values, amount=amount)
