"""When customers used what they had bought: what a bank wants to see in a dispute."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    Text,
    any_,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import naming, naming_columns
from database.tables import access_log, entitlements
from domain.ids import FulfillmentRef


class Use(StrEnum):
    """What was done."""

    DOWNLOADED = "downloaded"
    ACCESS_CHECKED = "access_checked"
    """The merchant's application asked for the customer's entitlements; once an hour is kept."""


_COLUMNS = ("session_id", "line_item_id", "kind", "event", "subject", "ip", "user_agent")
_LOG = insert(access_log).from_select(
    _COLUMNS,
    select(
        *naming_columns(),
        *(bindparam(f"new_{name}", type_=Text) for name in _COLUMNS[3:]),
    ),
)
_CHECKED = (
    update(entitlements)
    .where(
        entitlements.c.id == any_(bindparam("ids", type_=ARRAY(Text))),
        or_(
            entitlements.c.checked_at.is_(None),
            entitlements.c.checked_at < func.now() - text("interval '1 hour'"),
        ),
    )
    .values(checked_at=func.now())
    .returning(
        entitlements.c.session_id,
        entitlements.c.line_item_id,
        entitlements.c.kind,
        literal(Use.ACCESS_CHECKED.value, Text),
        entitlements.c.feature,
    )
    .cte("checked")
)
_LOG_CHECKS = insert(access_log).from_select(_COLUMNS[:5], select(_CHECKED))


async def log_use(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    use: Use,
    subject: str,
    *,
    ip: str | None,
    user_agent: str | None,
) -> None:
    """Notes that a customer has used what was delivered.

    Args:
        connection: Within whose transaction.
        ref: Which fulfillment.
        use: How.
        subject: Which part of it, such as a file.
        ip: From where.
        user_agent: By what, as the browser calls itself.
    """
    values = {"new_event": use, "new_subject": subject, "new_ip": ip, "new_user_agent": user_agent}
    await connection.execute(_LOG, {**naming(ref), **values})


async def log_checks(connection: AsyncConnection, entitlement_ids: Sequence[str]) -> None:
    """Notes that entitlements were checked, unless that was noted within the hour."""
    if entitlement_ids:
        await connection.execute(_LOG_CHECKS, {"ids": list(entitlement_ids)})
