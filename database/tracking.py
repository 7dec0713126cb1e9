"""What carriers tell of parcels: each event once, and what a parcel's status follows from them."""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BindParameter, Interval, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import parcels, tracking_events
from domain.ids import FulfillmentRef
from domain.shipping import ParcelStatus, TrackingUpdate


class ParcelNews(BaseModel):
    """What a customer has not been told of a parcel."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    number: int
    """The parcel's, among those of its shipment."""
    status: ParcelStatus
    """As it is now, whatever the events said before."""
    event_ids: tuple[str, ...]


_REFERENCE: BindParameter[str] = bindparam("of_reference")
_TOLD: BindParameter[str] = bindparam("told")
# A tracking number is used again after some time: the newest parcel is meant.
_FIND = {
    column.name: select(parcels.c.reference)
    .where(column == _TOLD)
    .order_by(parcels.c.created_at.desc())
    .limit(1)
    .with_for_update()
    for column in (parcels.c.reference, parcels.c.carrier_shipment_id, parcels.c.tracking_number)
}
_SAVE = insert(tracking_events).on_conflict_do_nothing()
_NEWEST = (
    select(tracking_events.c.reference, tracking_events.c.status, tracking_events.c.at)
    .where(tracking_events.c.reference == _REFERENCE)
    # Of two in the same second, as carriers tell it, the one that ends it, or that came last.
    .order_by(
        tracking_events.c.at.desc(),
        (tracking_events.c.status == ParcelStatus.DELIVERED).desc(),
        tracking_events.c.created_at.desc(),
    )
    .limit(1)
    .subquery()
)
_FOLLOW = (
    update(parcels)
    .where(parcels.c.reference == _NEWEST.c.reference)
    .values(status=_NEWEST.c.status, status_at=_NEWEST.c.at)
)
_READ_NEWS = (
    select(
        parcels.c.session_id,
        parcels.c.line_item_id,
        parcels.c.kind,
        parcels.c.number,
        parcels.c.status,
        func.array_agg(tracking_events.c.id).label("event_ids"),
    )
    .join(tracking_events, tracking_events.c.reference == parcels.c.reference)
    .where(parcels.c.reference == _REFERENCE, tracking_events.c.told_at.is_(None))
    .group_by(*parcels.primary_key)
)
_MARK_TOLD = (
    update(tracking_events)
    .where(tracking_events.c.id.in_(bindparam("event_ids", expanding=True)))
    .values(told_at=func.now())
)
_READ_UNTOLD = (
    select(tracking_events.c.reference)
    .where(
        tracking_events.c.told_at.is_(None),
        tracking_events.c.created_at < func.now() - bindparam("quiet_for", type_=Interval),
    )
    .group_by(tracking_events.c.reference)
    .order_by(func.min(tracking_events.c.created_at))
    .limit(bindparam("most"))
)


async def record_update(connection: AsyncConnection, update: TrackingUpdate) -> str | None:
    """Records what a carrier tells, once, and sets the parcel's status by the newest of it.

    Events may come repeatedly and in any order: the newest is the one whose time is the latest.

    Returns:
        The parcel's reference; None when there is no such parcel, or no carrier's ID of it yet.
    """
    reference = await _find(connection, update)
    if reference is None:
        return None
    row = {
        "id": update.event_id,
        "reference": reference,
        "status": update.status,
        "message": update.message,
        # A carrier's clock may be wrong: what lies ahead of ours would outdo all that follows.
        "at": min(update.at, datetime.now(UTC)),
    }
    await connection.execute(_SAVE, row)
    await connection.execute(_FOLLOW, {_REFERENCE.key: reference})
    return reference


async def _find(connection: AsyncConnection, update: TrackingUpdate) -> str | None:
    for column, told in (
        (parcels.c.reference, update.reference),
        (parcels.c.carrier_shipment_id, update.carrier_shipment_id),
        (parcels.c.tracking_number, update.tracking_number),
    ):
        if told is not None:
            found: str | None = await connection.scalar(_FIND[column.name], {_TOLD.key: told})
            return found
    return None


async def read_news(connection: AsyncConnection, reference: str) -> ParcelNews | None:
    """What is new of a parcel; None when the customer knows all."""
    row = (await connection.execute(_READ_NEWS, {_REFERENCE.key: reference})).one_or_none()
    if row is None:
        return None
    return ParcelNews(
        fulfillment=FulfillmentRef(
            session_id=row.session_id, line_item_id=row.line_item_id, kind=row.kind
        ),
        number=row.number,
        status=row.status,
        event_ids=row.event_ids,
    )


async def mark_told(connection: AsyncConnection, news: ParcelNews) -> None:
    """Records that the customer was told of all that this was."""
    await connection.execute(_MARK_TOLD, {"event_ids": news.event_ids})


async def read_untold(
    connection: AsyncConnection, quiet_for: timedelta, limit: int
) -> tuple[str, ...]:
    """References of parcels whose news nobody seems to be telling, the oldest first.

    Args:
        connection: Within whose transaction.
        quiet_for: How old news is that should have been told.
        limit: The most to return.
    """
    found = await connection.scalars(_READ_UNTOLD, {"quiet_for": quiet_for, "most": limit})
    return tuple(found)
