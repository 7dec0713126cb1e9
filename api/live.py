"""What an order's page says while it is open: the part that changes, and events when it does.

The same as JSON, for merchants whose own front end shows the order: docs/landing.md.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict

from api.landing import Unseen, find_order, is_open, order_page, read_one, version_of
from api.pages import HEADERS, could_be_ours
from api.services import Services, ServicesOf
from api.visits import PATH, may_see_all
from domain.checkout import CheckoutSession
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import (
    DeliverableType,
    Fulfillment,
    FulfillmentState,
    Order,
    OrderLine,
    OrderState,
    Question,
)
from domain.shipping import ParcelStatus

router = APIRouter(tags=["Landing page"])

JSON_PATH = f"{PATH}.json"
LOOK_S = 1.0
"""How long a change of an order that goes on stays unseen at most; its end is seen at once."""
STREAM_FOR_S = 300.0
"""After that the browser connects again by itself: no connection is kept for ever."""
MOST_STREAMS = 500
"""Open at once in this process; pages beyond them ask every few seconds instead."""


class _Streams:
    """How many event streams are open."""

    def __init__(self) -> None:
        self.open = 0


_streams = _Streams()


async def _order(
    request: Request, services: ServicesOf, session_id: str, account: str | None = None
) -> Order:
    """A recorded order; who asks for others is told nothing."""
    await services.visits.count(request)
    if could_be_ours(session_id, account, services):
        order = await read_one(services, session_id)
        if order is not None and order.state is not OrderState.UNKNOWN_SESSION:
            return order
    raise HTTPException(404, "no such order", HEADERS)


OrderOf = Annotated[Order, Depends(_order)]


@router.get(f"{PATH}/part", response_class=HTMLResponse, include_in_schema=False)
async def part(
    request: Request, services: ServicesOf, order: OrderOf, token: str | None = None
) -> HTMLResponse:
    """What changes of an order's page, as it is recorded now."""
    response = order_page(request, services, order, token, part=True)
    if not is_open(order):
        response.headers["X-Order-Over"] = "true"
    return response


async def _room() -> AsyncIterator[None]:
    if _streams.open >= MOST_STREAMS:
        # EventSource does not connect again after this: the page polls instead.
        raise HTTPException(503, "too many pages are open", HEADERS)
    _streams.open += 1
    try:
        yield
    finally:
        _streams.open -= 1


@router.get(
    f"{PATH}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(_room)],
    responses={404: {"description": "There is no such order"}},
)
async def events(
    request: Request, services: ServicesOf, order: OrderOf, seen: str = ""
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `changed` when there is something new to show, at last `over`.

    `seen` is the version that the page shows: what has changed since then is told at once.
    """
    seen = request.headers.get("Last-Event-ID") or seen
    ending = asyncio.create_task(services.fulfillments.result(order.session_id))
    loop = asyncio.get_running_loop()
    until = loop.time() + STREAM_FOR_S
    try:
        while loop.time() < until:
            version = version_of(order)
            if not is_open(order):
                yield ServerSentEvent(event="over", raw_data="", id=version)
                return
            if version != seen:
                yield ServerSentEvent(event="changed", raw_data="", id=version)
                seen = version
            # The workflow's own end wakes at once. Where it cannot tell, looking has to do.
            waiting = {ending} if not ending.done() else set()
            timer = asyncio.create_task(asyncio.sleep(LOOK_S))
            await asyncio.wait({timer, *waiting}, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            order = await read_one(services, order.session_id) or order
    finally:
        ending.cancel()


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderedDeliverable(_Value):
    """One thing that the customer has in hand."""

    type: DeliverableType
    label: str
    value: str
    """A link's URL, also of a file; a key; a sentence."""
    expires_at: datetime | None


class OrderedParcel(_Value):
    """A parcel, and where it is."""

    number: int
    status: ParcelStatus
    tracking_number: str | None
    tracking_url: str | None


class OrderedFulfillment(_Value):
    """What was done for one line item, one way."""

    kind: str
    state: FulfillmentState
    canceled: int
    """Pieces whose money went back."""
    delivered: tuple[OrderedDeliverable, ...]
    parcels: tuple[OrderedParcel, ...]
    question: Question | None
    question_url: str | None
    """Where the customer answers it."""


class OrderedLine(_Value):
    """One line item."""

    description: str
    quantity: int
    total: Money
    fulfillments: tuple[OrderedFulfillment, ...]


class CustomerOrder(_Value):
    """An order as its customer may see it."""

    session_id: str
    state: OrderState
    paid: bool
    whole: bool
    """Whether the rest is told, or only how it stands: see docs/landing.md."""
    total: Money | None = None
    receipt_sent: bool = False
    try_again_url: str | None = None
    """Where a lost payment is made again."""
    lines: tuple[OrderedLine, ...] = ()


@router.get(
    JSON_PATH,
    responses={
        404: {"description": "There is no such order, or it was not paid"},
        429: {"description": "This address asks too often"},
        503: {"description": "Not known yet: ask again in some seconds"},
    },
)
async def order_json(
    request: Request,
    response: Response,
    services: ServicesOf,
    *,
    session_id: str = "",
    account: str | None = None,
    token: str | None = None,
) -> CustomerOrder:
    """The order's page as JSON; it triggers the fulfillment, and waits for it, as the page does."""
    await services.visits.count(request)
    response.headers.update(HEADERS)
    none = HTTPException(404, "no such order", HEADERS)
    if not could_be_ours(session_id, account, services):
        raise none
    try:
        found = await find_order(services, session_id, account)
    except PermanentError as error:
        raise none from error
    if isinstance(found, CheckoutSession) or found is Unseen.EVER:
        raise none
    if found is Unseen.YET:
        raise HTTPException(503, "not known yet", {**HEADERS, "Retry-After": "1"})
    return _as_customer_sees(
        services, found, whole=may_see_all(request, services.links, found, token)
    )


def _as_customer_sees(services: Services, order: Order, *, whole: bool) -> CustomerOrder:
    paid = order.payment_status in {"paid", "no_payment_required"}
    lost = order.state in {OrderState.PAYMENT_FAILED, OrderState.EXPIRED}
    seen = CustomerOrder(
        session_id=order.session_id,
        state=order.state,
        paid=paid,
        whole=whole,
        try_again_url=services.links.try_again(order.session_id, order.account) if lost else None,
    )
    if not whole:
        return seen

    def fulfillment(line: OrderLine, item: Fulfillment) -> OrderedFulfillment:
        ref = FulfillmentRef(session_id=order.session_id, line_item_id=line.id, kind=item.kind)
        links = services.links
        return OrderedFulfillment(
            kind=item.kind,
            state=item.state,
            canceled=item.reversed,
            delivered=tuple(
                OrderedDeliverable(
                    type=each.type,
                    label=each.label,
                    value=links.download(ref, each.value, each.expires_at)
                    if each.type is DeliverableType.FILE
                    else each.value,
                    expires_at=each.expires_at,
                )
                for each in item.delivered
                if item.state is not FulfillmentState.REVERSED
            ),
            parcels=tuple(
                OrderedParcel.model_validate(each, from_attributes=True) for each in item.parcels
            ),
            question=item.question,
            question_url=links.answer(ref, item.question) if item.question else None,
        )

    return seen.model_copy(
        update={
            "total": order.total,
            "receipt_sent": order.receipt_sent_at is not None,
            "lines": tuple(
                OrderedLine(
                    description=line.description,
                    quantity=line.quantity,
                    total=line.total,
                    fulfillments=tuple(
                        fulfillment(line, item) for item in line.fulfillments if paid
                    ),
                )
                for line in order.lines
            ),
        }
    )
