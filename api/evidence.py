"""What happened to an order, and what proves its delivery to a bank."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from api.order_paths import SessionId, no_order
from api.orders import require_operator
from api.pages import HEADERS, render
from api.responses import NO_ORDER, UNAUTHORIZED
from api.services import Services, ServicesOf
from database.evidence import read_evidence
from database.orders import read_states
from database.timeline import TimelineEntry, read_timeline
from domain.evidence import EvidencePack
from domain.formats import FALLBACK_LOCALE, format_money
from domain.money import Money

# The page stands alone, so that it can be saved: its style is in it.
_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "style-src 'self'", "style-src 'unsafe-inline'"
    ),
}
router = APIRouter(
    tags=["Reversals"],
    dependencies=[Depends(require_operator)],
    responses={**UNAUTHORIZED, **NO_ORDER},
)


@router.get("/orders/{session_id}/timeline")
async def get_timeline(session_id: SessionId, services: ServicesOf) -> tuple[TimelineEntry, ...]:
    """Everything that happened to an order, the oldest first."""
    async with services.database.transaction() as connection:
        if not await read_states(connection, [session_id]):
            raise no_order()
        return await read_timeline(connection, session_id)


@router.get("/orders/{session_id}/evidence")
async def get_evidence(session_id: SessionId, services: ServicesOf) -> EvidencePack:
    """What proves the delivery of an order; `stripe` is what Stripe takes as evidence."""
    return await _read(session_id, services)


@router.get("/orders/{session_id}/evidence.html", response_class=HTMLResponse)
async def get_evidence_page(session_id: SessionId, services: ServicesOf) -> HTMLResponse:
    """The same as a page to be printed, or saved as a PDF."""
    pack = await _read(session_id, services)
    values = {"pack": pack, "time": _time, "money": _money, **_tables(pack)}
    return HTMLResponse(render("evidence", FALLBACK_LOCALE, values), headers=_HEADERS)


def _tables(pack: EvidencePack) -> dict[str, list[tuple[object, ...]]]:
    return {
        "delivered": [
            (
                f"{line.quantity} x {line.description}",
                item.kind,
                f"{item.reversed} of {line.quantity} taken back" if item.reversed else item.state,
                _time(item.fulfilled_at),
                ", ".join(each.label or each.value for each in item.delivered),
            )
            for line in pack.order.lines
            for item in line.fulfillments
        ],
        "parcels": [
            (each.number, each.carrier, each.tracking_number, _time(each.booked_at), each.status)
            for each in pack.parcels
        ],
        "tracking": [
            (each.tracking_number, _time(event.at), event.status, event.message)
            for each in pack.parcels
            for event in each.events
        ],
        "uses": [
            (_time(use.at), use.event, use.subject, use.ip, use.user_agent) for use in pack.uses
        ],
        "emails": [
            (each.name, each.recipient, _time(each.sent_at), _time(each.bounced_at))
            for each in pack.emails
        ],
        "reversals": [
            (each.id, each.cause, each.status, _money(each.amount), each.reason)
            for each in pack.reversals
        ],
    }


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at is not None else None


def _money(money: Money | None) -> str | None:
    return format_money(money, FALLBACK_LOCALE) if money is not None else None


async def _read(session_id: str, services: Services) -> EvidencePack:
    async with services.database.transaction() as connection:
        pack = await read_evidence(connection, session_id)
    if pack is None:
        raise no_order()
    return pack
