"""Entitlements: what customers may use."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    Interval,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import INTERVAL, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from database.keys import SESSION, is_fulfillment, naming, naming_columns
from database.tables import CUSTOMER_OF_ENTITLEMENT, entitlements, fulfillments, orders
from domain.entitlements import CustomerKey, CustomerName, Entitlement, Renewal
from domain.ids import FulfillmentRef

_FEATURE = bindparam("new_feature", type_=Text)
_CUSTOMER_OF_ORDER = func.coalesce(
    orders.c.customer_id, orders.c.client_reference_id, func.lower(orders.c.customer_email)
)
_OF_ORDER = orders.c.session_id == SESSION
_LOCK_RENEWALS = select(
    func.pg_advisory_xact_lock(
        func.hashtextextended(func.concat_ws(" ", _CUSTOMER_OF_ORDER, _FEATURE), 0)
    )
).where(_OF_ORDER)
_END_OF_RUNNING = (
    select(func.max(entitlements.c.expires_at))
    .where(
        CUSTOMER_OF_ENTITLEMENT == _CUSTOMER_OF_ORDER,
        entitlements.c.feature == _FEATURE,
        entitlements.c.revoked_at.is_(None),
        entitlements.c.expires_at > func.now(),
    )
    .correlate(orders)
    .scalar_subquery()
)


def _granting(starts_at: ColumnElement[datetime]) -> ReturningInsert[Any]:
    duration = cast(bindparam("new_duration", type_=Text), INTERVAL)
    columns: dict[str, ColumnElement[Any]] = {
        **dict(zip(("session_id", "line_item_id", "kind"), naming_columns(), strict=True)),
        "id": cast(bindparam("new_id"), Text),
        "feature": cast(_FEATURE, Text),
        "url": cast(bindparam("new_url"), Text),
        "quantity": cast(bindparam("new_quantity"), Integer),
        "customer_id": orders.c.customer_id,
        "customer_email": orders.c.customer_email,
        "client_reference_id": orders.c.client_reference_id,
        "starts_at": starts_at,
        "expires_at": starts_at + duration,
    }
    source: Select[Any] = select(*columns.values()).where(_OF_ORDER)
    return (
        insert(entitlements)
        .from_select(list(columns), source)
        .on_conflict_do_nothing()
        .returning(entitlements)
    )


_ADD = _granting(func.now())
_EXTEND = _granting(func.coalesce(_END_OF_RUNNING, func.now()))
_CUSTOMER = bindparam("ref_customer", type_=Text)
_ONLY = bindparam("ref_feature", type_=Text)
_ACTIVE = {
    name: select(entitlements)
    .where(
        is_customer,
        or_(_ONLY.is_(None), entitlements.c.feature == _ONLY),
        entitlements.c.revoked_at.is_(None),
        entitlements.c.starts_at <= func.now(),
        or_(entitlements.c.expires_at.is_(None), entitlements.c.expires_at > func.now()),
    )
    .order_by(entitlements.c.feature, entitlements.c.starts_at, entitlements.c.id)
    for name, is_customer in (
        (CustomerName.CUSTOMER, entitlements.c.customer_id == _CUSTOMER),
        (CustomerName.CLIENT_REFERENCE_ID, entitlements.c.client_reference_id == _CUSTOMER),
        (
            CustomerName.EMAIL,
            func.lower(entitlements.c.customer_email) == func.lower(_CUSTOMER),
        ),
    )
}
_READ = select(entitlements).where(entitlements.c.id == bindparam("ref_id"))
_REVOKE = (
    update(entitlements)
    .where(entitlements.c.id == bindparam("ref_id"), entitlements.c.revoked_at.is_(None))
    .values(revoked_at=func.now(), revoked_because=bindparam("new_because"))
    .returning(entitlements)
)
_KEPT = bindparam("kept_pieces", type_=Integer)
_SEATS = (
    select(func.coalesce(cast(fulfillments.c.parameters["seats"].astext, Integer), 1))
    .where(is_fulfillment(fulfillments))
    .scalar_subquery()
)
_TAKE_BACK = (
    update(entitlements)
    .where(is_fulfillment(entitlements), entitlements.c.revoked_at.is_(None))
    .values(revoked_at=func.now(), reversed_at=func.now(), revoked_because="the money went back")
    .returning(entitlements)
)
_GAP_CUSTOMER = bindparam("gap_customer", type_=Text)
_GAP = bindparam("gap", type_=Interval)
_CLOSE_GAP = (
    update(entitlements)
    .where(
        CUSTOMER_OF_ENTITLEMENT == _GAP_CUSTOMER,
        entitlements.c.feature == _FEATURE,
        entitlements.c.revoked_at.is_(None),
        entitlements.c.starts_at >= bindparam("gap_ends_at", type_=DateTime(timezone=True)),
    )
    .values(starts_at=entitlements.c.starts_at - _GAP, expires_at=entitlements.c.expires_at - _GAP)
)
_RESUMES = select(func.coalesce(_END_OF_RUNNING, func.now())).where(_OF_ORDER)
_RESUMES_AT = bindparam("resumes_at", type_=DateTime(timezone=True))
_GIVE_BACK = (
    update(entitlements)
    .where(is_fulfillment(entitlements), entitlements.c.reversed_at.is_not(None))
    .values(
        # The time that was left goes on behind what runs by now.
        starts_at=_RESUMES_AT,
        expires_at=_RESUMES_AT
        + (
            entitlements.c.expires_at
            - func.greatest(entitlements.c.starts_at, entitlements.c.reversed_at)
        ),
        quantity=_SEATS * _KEPT,
        revoked_at=None,
        reversed_at=None,
        revoked_because=None,
    )
    .returning(entitlements)
)
_RESIZE = (
    update(entitlements)
    .where(
        is_fulfillment(entitlements),
        entitlements.c.revoked_at.is_(None),
        entitlements.c.quantity != _SEATS * _KEPT,
    )
    .values(quantity=_SEATS * _KEPT)
    .returning(entitlements)
)
_READ_GRANTED = select(entitlements).where(is_fulfillment(entitlements))


async def grant(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    *,
    feature: str,
    url: str,
    quantity: int,
    duration: str | None,
    renewal: Renewal,
) -> tuple[Entitlement, bool]:
    """Writes the entitlement of one fulfillment; a second time changes nothing.

    Renewals of one customer and feature wait for each other, so that each begins where the one
    before it ends. Who the customer is tells their ID at Stripe, else the order's client
    reference, else their address.

    Args:
        connection: Within whose transaction.
        ref: Which fulfillment, and so whose order.
        feature: What the merchant's application calls it.
        url: Where it is used.
        quantity: Seats.
        duration: In ISO 8601; None when it does not end by itself.
        renewal: What happens while such an entitlement of the customer's runs.

    Returns:
        The entitlement, and whether it is new.
    """
    extends = duration is not None and renewal is Renewal.EXTEND
    values = {
        **naming(ref),
        "new_id": f"ent_{uuid4().hex}",
        "new_feature": feature,
        "new_url": url,
        "new_quantity": quantity,
        "new_duration": duration,
    }
    if extends:
        # In a statement of its own: the next one sees what was committed while this one waited.
        await connection.execute(_LOCK_RENEWALS, values)
    granted = (await connection.execute(_EXTEND if extends else _ADD, values)).one_or_none()
    row = granted or (await connection.execute(_READ_GRANTED, naming(ref))).one()
    return Entitlement.model_validate(row, from_attributes=True), granted is not None


def _entitlement(row: Row[Any] | None) -> Entitlement | None:
    return None if row is None else Entitlement.model_validate(row, from_attributes=True)


async def read_entitlement(connection: AsyncConnection, entitlement_id: str) -> Entitlement | None:
    """One entitlement, or None when there is none."""
    return _entitlement((await connection.execute(_READ, {"ref_id": entitlement_id})).one_or_none())


async def revoke(
    connection: AsyncConnection, entitlement_id: str, because: str
) -> Entitlement | None:
    """Ends an entitlement; None when there is none, or it was revoked before."""
    values = {"ref_id": entitlement_id, "new_because": because}
    return _entitlement((await connection.execute(_REVOKE, values)).one_or_none())


async def reverse(
    connection: AsyncConnection, ref: FulfillmentRef, kept: int
) -> Entitlement | None:
    """Leaves an entitlement the seats of so many pieces; without any it is revoked.

    A renewal that was to begin where it ends begins that much earlier. One that was revoked so is
    given back with the time that it had left, behind what runs by then. What an operator has
    revoked stays so. Lock the fulfillment first.

    Returns:
        The entitlement, if it has changed.
    """
    granted = (await connection.execute(_READ_GRANTED, naming(ref))).one_or_none()
    if granted is None:
        return None
    values = {**naming(ref), _FEATURE.key: granted.feature, _KEPT.key: kept}
    await connection.execute(_LOCK_RENEWALS, values)
    if kept == 0:
        taken = (await connection.execute(_TAKE_BACK, values)).one_or_none()
        if taken is not None and taken.expires_at is not None:
            await _close_gap(connection, taken)
        return _entitlement(taken)
    if granted.reversed_at is None:
        return _entitlement((await connection.execute(_RESIZE, values)).one_or_none())
    values[_RESUMES_AT.key] = await connection.scalar(_RESUMES, values)
    return _entitlement((await connection.execute(_GIVE_BACK, values)).one_or_none())


async def _close_gap(connection: AsyncConnection, taken: Row[Any]) -> None:
    """Has renewals begin as much earlier as what was before them has ended earlier."""
    left = taken.expires_at - max(taken.starts_at, taken.reversed_at)
    if left > timedelta(0):
        values = {
            # In the order of CUSTOMER_OF_ENTITLEMENT.
            _GAP_CUSTOMER.key: taken.customer_id
            or taken.client_reference_id
            or (taken.customer_email or "").lower(),
            "gap_ends_at": taken.expires_at,
            _FEATURE.key: taken.feature,
            _GAP.key: left,
        }
        await connection.execute(_CLOSE_GAP, values)


async def read_active(
    connection: AsyncConnection, customer: CustomerKey, feature: str | None
) -> tuple[Entitlement, ...]:
    """What a customer may use now, by feature, the earlier one first.

    Args:
        connection: Within whose transaction.
        customer: Whose.
        feature: Only this one; None for all.
    """
    values = {_CUSTOMER.key: customer.value, _ONLY.key: feature}
    rows = await connection.execute(_ACTIVE[customer.name], values)
    return tuple(Entitlement.model_validate(row, from_attributes=True) for row in rows)
