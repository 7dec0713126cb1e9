"""What happened to an order, in the order of time."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.audit import SERVICE, STRIPE
from database.keys import SESSION
from database.tables import (
    access_log,
    audit,
    emails,
    fulfillments,
    license_activations,
    license_keys,
    messages,
    orders,
    parcels,
    questions,
    returns,
    reversals,
    tracking_events,
)
from domain.ids import FulfillmentRef
from domain.returns import ReturnState

_CUSTOMER = "customer"
_CARRIER = "carrier"


class TimelineEntry(BaseModel):
    """One thing that happened."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    event: str
    by: str
    """An operator, `customer`, `carrier`, `stripe`, `policy`, `service`."""
    detail: str = ""


_Entries = Iterator[TimelineEntry]
_Read = Callable[[Any], _Entries]


def _order(row: Row[Any]) -> _Entries:
    if row.checkout_created_at is not None:
        yield TimelineEntry(at=row.checkout_created_at, event="checkout_opened", by=_CUSTOMER)
    yield TimelineEntry(at=row.created_at, event="order_recorded", by=SERVICE)
    if row.closed_at is not None:
        yield TimelineEntry(at=row.closed_at, event="order_closed", by=SERVICE)


def _act(row: Row[Any]) -> _Entries:
    yield TimelineEntry(at=row.created_at, event=row.act, by=row.by, detail=row.detail)


def _fulfillment(row: Row[Any]) -> _Entries:
    if row.fulfilled_at is not None:
        by = "operator" if row.by_hand else SERVICE
        yield TimelineEntry(at=row.fulfilled_at, event="fulfilled", by=by, detail=_step(row))


def _email(row: Row[Any]) -> _Entries:
    named = f"{row.name} {row.key}".strip()
    if row.sent_at is not None:
        yield TimelineEntry(at=row.sent_at, event="email_sent", by=SERVICE, detail=named)
    for at, event in ((row.bounced_at, "email_bounced"), (row.complained_at, "email_complained")):
        if at is not None:
            yield TimelineEntry(at=at, event=event, by=_CUSTOMER, detail=named)


def _parcel(row: Row[Any]) -> _Entries:
    if row.carrier_shipment_id is not None:
        named = f"{_step(row)} parcel {row.number}: {row.carrier} {row.tracking_number}"
        yield TimelineEntry(at=row.created_at, event="parcel_booked", by=SERVICE, detail=named)


def _tracking(row: Row[Any]) -> _Entries:
    said = f"{row.reference}: {row.message}" if row.message else row.reference
    yield TimelineEntry(at=row.at, event=f"parcel_{row.status}", by=_CARRIER, detail=said)


def _return(row: Row[Any]) -> _Entries:
    what = f"{row.id}: {row.quantity} of {row.sku}"
    yield TimelineEntry(at=row.created_at, event="return_asked", by=SERVICE, detail=what)
    if row.state == ReturnState.WITHDRAWN:
        yield TimelineEntry(at=row.updated_at, event="return_withdrawn", by=SERVICE, detail=what)


def _reversal(row: Row[Any]) -> _Entries:
    yield TimelineEntry(at=row.created_at, event=f"{row.cause}_began", by=STRIPE, detail=row.id)


def _question(row: Row[Any]) -> _Entries:
    named = f"{_step(row)}: {row.name}"
    yield TimelineEntry(at=row.created_at, event="question_asked", by=SERVICE, detail=named)
    if row.answered_at is not None:
        yield TimelineEntry(
            at=row.answered_at, event="question_answered", by=row.answered_by, detail=named
        )


def _activation(row: Row[Any]) -> _Entries:
    yield TimelineEntry(
        at=row.activated_at, event="license_activated", by=_CUSTOMER, detail=row.instance
    )


def _use(row: Row[Any]) -> _Entries:
    seen_from = f" from {row.ip}" if row.ip else ""
    yield TimelineEntry(
        at=row.at,
        event=row.event,
        by=_CUSTOMER,
        detail=f"{row.line_item_id}:{row.kind}: {row.subject}{seen_from}",
    )


def _message(row: Row[Any]) -> _Entries:
    yield TimelineEntry(
        at=row.created_at, event="app_message", by=SERVICE, detail=f"{row.type} {row.state}"
    )


def _step(row: Row[Any]) -> str:
    return FulfillmentRef(
        session_id=row.session_id, line_item_id=row.line_item_id, kind=row.kind
    ).step


_SOURCES: tuple[tuple[Select[Any], _Read], ...] = (
    (select(orders).where(orders.c.session_id == SESSION), _order),
    (select(audit).where(audit.c.session_id == SESSION).order_by(audit.c.id), _act),
    (select(fulfillments).where(fulfillments.c.session_id == SESSION), _fulfillment),
    (select(emails).where(emails.c.session_id == SESSION), _email),
    (select(parcels).where(parcels.c.session_id == SESSION), _parcel),
    (
        select(tracking_events)
        .join(parcels, parcels.c.reference == tracking_events.c.reference)
        .where(parcels.c.session_id == SESSION),
        _tracking,
    ),
    (select(returns).where(returns.c.session_id == SESSION), _return),
    (select(reversals).where(reversals.c.session_id == SESSION), _reversal),
    (select(questions).where(questions.c.session_id == SESSION), _question),
    (
        select(license_activations)
        .join(license_keys, license_keys.c.key == license_activations.c.key)
        .where(license_keys.c.session_id == SESSION),
        _activation,
    ),
    (select(access_log).where(access_log.c.session_id == SESSION), _use),
    (select(messages).where(messages.c.session_id == SESSION), _message),
)


async def read_timeline(connection: AsyncConnection, session_id: str) -> tuple[TimelineEntry, ...]:
    """Everything that is recorded of an order, the oldest first."""
    entries: list[TimelineEntry] = []
    for statement, read in _SOURCES:
        for row in await connection.execute(statement, {SESSION.key: session_id}):
            entries += read(row)
    return tuple(sorted(entries, key=lambda entry: entry.at))
