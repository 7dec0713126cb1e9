"""Reading what proves an order's delivery."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SESSION
from database.order_view import read_order
from database.reversals import read_reversals
from database.tables import access_log, emails, license_activations, license_keys, parcels
from database.tables import tracking_events as tracking
from domain.evidence import (
    EvidencePack,
    SentEmail,
    TrackedParcel,
    TrackingEvent,
    UsedAccess,
    stripe_evidence,
)

_PARCELS = (
    select(parcels)
    .where(parcels.c.session_id == SESSION, parcels.c.carrier_shipment_id.is_not(None))
    .order_by(parcels.c.line_item_id, parcels.c.number)
)
_TRACKING = (
    select(tracking)
    .join(parcels, parcels.c.reference == tracking.c.reference)
    .where(parcels.c.session_id == SESSION)
    .order_by(tracking.c.at)
)
_EMAILS = (
    select(emails)
    .where(emails.c.session_id == SESSION, emails.c.sent_at.is_not(None))
    .order_by(emails.c.sent_at)
)
_USES = select(access_log).where(access_log.c.session_id == SESSION)
_ACTIVATIONS = (
    select(license_activations)
    .join(license_keys, license_keys.c.key == license_activations.c.key)
    .where(license_keys.c.session_id == SESSION)
)


async def read_evidence(connection: AsyncConnection, session_id: str) -> EvidencePack | None:
    """What proves an order's delivery; None when there is no such order."""
    order = await read_order(connection, session_id)
    if order is None:
        return None
    shipped = await _parcels(connection, session_id)
    uses = await _uses(connection, session_id)
    sent = await connection.execute(_EMAILS, {SESSION.key: session_id})
    return EvidencePack(
        made_at=datetime.now(UTC),
        order=order,
        reversals=await read_reversals(connection, session_id),
        parcels=shipped,
        emails=tuple(SentEmail.model_validate(row, from_attributes=True) for row in sent),
        uses=uses,
        stripe=stripe_evidence(order, shipped, uses),
    )


async def _parcels(connection: AsyncConnection, session_id: str) -> tuple[TrackedParcel, ...]:
    told: dict[str, list[TrackingEvent]] = {}
    for row in await connection.execute(_TRACKING, {SESSION.key: session_id}):
        event = TrackingEvent.model_validate(row, from_attributes=True)
        told.setdefault(row.reference, []).append(event)
    return tuple(
        TrackedParcel(
            number=row.number,
            carrier=row.carrier,
            tracking_number=row.tracking_number,
            tracking_url=row.tracking_url,
            status=row.status,
            booked_at=row.created_at,
            events=tuple(told.get(row.reference, ())),
        )
        for row in await connection.execute(_PARCELS, {SESSION.key: session_id})
    )


async def _uses(connection: AsyncConnection, session_id: str) -> tuple[UsedAccess, ...]:
    found = [
        UsedAccess.model_validate(row, from_attributes=True)
        for row in await connection.execute(_USES, {SESSION.key: session_id})
    ]
    found += [
        UsedAccess(
            at=row.activated_at,
            event="license_activated",
            subject=row.instance,
            ip=None,
            user_agent=None,
        )
        for row in await connection.execute(_ACTIVATIONS, {SESSION.key: session_id})
    ]
    return tuple(sorted(found, key=lambda use: use.at))
