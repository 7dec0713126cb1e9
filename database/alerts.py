"""What operators are to be told of, one row for each cause of each step."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Interval, and_, bindparam, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import alerts, fulfillments, orders
from domain.alerts import OVERDUE, Alert
from domain.orders import (
    OPEN_STATES,
    SETTLED_STATES,
    WAITING_STATES,
    OrderState,
)

_RECORD = insert(alerts).on_conflict_do_nothing().returning(alerts)
_UNMAILED = select(alerts).where(alerts.c.mailed_at.is_(None)).order_by(alerts.c.id)
_OF_ORDER = fulfillments.c.session_id == orders.c.session_id
_PLANNED_AT = select(func.min(fulfillments.c.created_at)).where(_OF_ORDER).scalar_subquery()
_IS_OURS_TO_DELIVER = exists().where(
    _OF_ORDER, fulfillments.c.state.not_in(SETTLED_STATES | WAITING_STATES)
)
_RECORD_OVERDUE = (
    insert(alerts)
    .from_select(
        ["session_id", "step", "cause", "detail"],
        select(
            orders.c.session_id,
            literal(""),
            literal(OVERDUE),
            func.concat("paid, and not delivered since ", _PLANNED_AT, " (", orders.c.state, ")"),
        ).where(
            and_(
                orders.c.state.in_(OPEN_STATES - {OrderState.AWAITING_PAYMENT}),
                ~orders.c.on_hold,
                _IS_OURS_TO_DELIVER,
                func.now() - bindparam("overdue_after", type_=Interval) > _PLANNED_AT,
            )
        ),
    )
    .on_conflict_do_nothing()
    .returning(alerts)
)


async def record_alert(
    connection: AsyncConnection, session_id: str, *, step: str, cause: str, detail: str
) -> Alert | None:
    """Records that operators are to be told; None when they were told of this cause before."""
    row = {"session_id": session_id, "step": step, "cause": cause, "detail": detail}
    found = (await connection.execute(_RECORD, row)).one_or_none()
    return None if found is None else Alert.model_validate(found, from_attributes=True)


async def record_overdue(connection: AsyncConnection, after: timedelta) -> tuple[Alert, ...]:
    """Records each order that was paid so long ago and waits for us, or for an operator."""
    rows = await connection.execute(_RECORD_OVERDUE, {"overdue_after": after})
    return tuple(Alert.model_validate(row, from_attributes=True) for row in rows)


async def read_unmailed(connection: AsyncConnection, limit: int) -> tuple[Alert, ...]:
    """What nobody has mailed yet, the oldest first."""
    rows = await connection.execute(_UNMAILED.limit(limit))
    return tuple(Alert.model_validate(row, from_attributes=True) for row in rows)


async def mark_mailed(connection: AsyncConnection, ids: Collection[int]) -> None:
    """Records that the mail server has taken the mail that tells of them."""
    await connection.execute(
        update(alerts).where(alerts.c.id.in_(ids)).values(mailed_at=func.now())
    )
