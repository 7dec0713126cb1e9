"""`GET /after-checkout?session_id=…`: where Checkout sends the customer.

The page triggers the same fulfillment as the webhook, waits a bounded time for it, and shows
what is recorded. The session ID comes from a URL, so anybody can invent one: nothing is
started before our records or Stripe know it.

Source: Stripe's guide "Fulfill orders", "Trigger fulfillment on your landing page".
"""

import asyncio
import hashlib
import logging
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from urllib.parse import urlencode

from babel.dates import format_date
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.pages import REFRESH_S, could_be_ours, locale_for, page
from api.services import Services, ServicesOf
from api.visits import PATH, may_see_all, remember
from database import sweeps
from database.order_view import read_order
from domain.checkout import CheckoutSession, SessionStatus
from domain.errors import PermanentError, TransientError
from domain.formats import format_money
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import (
    CLOSED_STATES,
    OPEN_STATES,
    WAITING_STATES,
    Fulfillment,
    FulfillmentState,
    Order,
    OrderLine,
    OrderState,
)

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Landing page"])

MAX_WAIT_S = 3.0
"""How long a customer looks at an empty window before the page shows what is known."""
POLL_S = 0.1
_triggering: set[asyncio.Task[bool]] = set()
"""What the loop itself holds but weakly."""
_WAITING = WAITING_STATES | {FulfillmentState.AWAITING_OPERATOR}


@router.get(
    PATH,
    response_class=HTMLResponse,
    responses={
        404: {"description": "There is no such order"},
        429: {"description": "This address asks too often"},
    },
)
async def after_checkout(
    request: Request,
    services: ServicesOf,
    session_id: str = "",
    account: str | None = None,
    token: str | None = None,
    *,
    embedded: bool = False,
) -> HTMLResponse:
    """The customer's page after Checkout.

    `account` names a connected account; `token` stands in the links of mails, and shows the whole
    page at any time; `embedded` is for a frame in the merchant's own page.
    """
    await services.visits.count(request)
    not_found = partial(page, request, "not_found", status=404)
    if not could_be_ours(session_id, account, services):
        return not_found()
    try:
        found = await find_order(services, session_id, account)
    except PermanentError as error:
        logger.info("landing page for a session that Stripe refuses: %s", error.message)
        return not_found()
    except TransientError as error:
        # The webhook fulfills it all the same; the customer only has to look again.
        logger.warning("landing page without an answer: %s", error.message)
        found = Unseen.YET
    if isinstance(found, CheckoutSession):
        locale = locale_for(request, found.locale)
        return page(request, "not_paid", session=found, locale=locale)
    if found is Unseen.EVER:
        return not_found()
    if found is Unseen.YET:
        return page(request, "unavailable", status=503, refresh_s=REFRESH_S)
    return order_page(request, services, found, token, embedded=embedded)


class Unseen(Enum):
    """Why there is no order to show."""

    YET = "yet"
    """It is not recorded yet."""
    EVER = "ever"
    """It is none of ours."""


async def find_order(
    services: Services, session_id: str, account: str | None
) -> Order | CheckoutSession | Unseen:
    """Triggers the fulfillment of a session that was paid, and waits for what comes quickly.

    Returns:
        Its order, or the session where it was not paid.

    Raises:
        PermanentError: Stripe knows no such session, or not for this account.
        TransientError: Stripe does not answer.
    """
    until = asyncio.get_running_loop().time() + MAX_WAIT_S
    order = await read_one(services, session_id)
    unknown = order is None or order.state is OrderState.UNKNOWN_SESSION
    if unknown:
        session = await _ask_stripe(services, session_id, account, until)
        if session.status is not SessionStatus.COMPLETE:
            return session
        if await _is_from_before_us(services, session):
            return Unseen.EVER
    else:
        account = order.account if order else account
    if unknown or order is None or order.state not in CLOSED_STATES:
        order = await _fulfilled(services, session_id, account, until)
    if order is None or order.state is OrderState.UNKNOWN_SESSION:
        return Unseen.YET
    return order


async def read_one(services: Services, session_id: str) -> Order | None:
    """The order of a session, as it is recorded."""
    async with services.database.transaction() as connection:
        return await read_order(connection, session_id)


async def _is_from_before_us(services: Services, session: CheckoutSession) -> bool:
    async with services.database.transaction() as connection:
        return await sweeps.is_from_before_us(
            connection,
            session.account,
            session.created,
            datetime.now(UTC),
            livemode=services.livemode,
        )


async def _ask_stripe(
    services: Services, session_id: str, account: str | None, until: float
) -> CheckoutSession:
    try:
        async with asyncio.timeout_at(until):
            return await services.sessions.retrieve(session_id, account)
    except TimeoutError as error:
        raise TransientError("stripe_slow", "Stripe did not answer in time") from error


async def _fulfilled(
    services: Services, session_id: str, account: str | None, until: float
) -> Order | None:
    """Triggers the fulfillment, and waits for as much of it as comes quickly.

    That is until the workflow ends or only slow things are left. An order that is recorded is
    shown even when Temporal is away.
    """
    triggering = asyncio.create_task(
        services.fulfillments.trigger(session_id, account=account, reopen=True)
    )
    _triggering.add(triggering)
    triggering.add_done_callback(_triggered)
    try:
        async with asyncio.timeout_at(until):
            # It goes on when the time is over: no event may ever tell of this payment.
            await asyncio.shield(triggering)
            await _rests(services, session_id)
    except TransientError:
        logger.info("landing page shows what is recorded of %s", session_id)
    except TimeoutError:
        logger.info("order %s is still being fulfilled", session_id)
    return await read_one(services, session_id)


def _triggered(task: asyncio.Task[bool]) -> None:
    _triggering.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("a landing page could not trigger: %s", error)


async def _rests(services: Services, session_id: str) -> None:
    """Waits until an order's workflow has ended, or only slow things are left of it."""
    ending = asyncio.create_task(services.fulfillments.result(session_id))
    try:
        while not ending.done():
            order = await read_one(services, session_id)
            if order is not None and not _moves_by_itself(order):
                return
            await asyncio.wait({ending}, timeout=POLL_S)
    finally:
        ending.cancel()


def _moves_by_itself(order: Order) -> bool:
    """Whether waiting a moment longer is likely to show the customer more."""
    if order.state is OrderState.UNKNOWN_SESSION:
        return True
    if order.state is not OrderState.FULFILLING:
        return False
    states = {item.state for line in order.lines for item in line.fulfillments}
    return FulfillmentState.PENDING in states or not states & _WAITING


def order_page(
    request: Request,
    services: Services,
    order: Order,
    token: str | None,
    *,
    part: bool = False,
    embedded: bool = False,
) -> HTMLResponse:
    """An order's page.

    Args:
        request: The browser's.
        services: What there is.
        order: Which order.
        token: What the link carried, if anything.
        part: Whether only what changes is wanted.
        embedded: Whether it is for a frame in the merchant's own page.
    """
    locale = locale_for(request, order.locale)

    def money(value: Money) -> str:
        return format_money(value, locale)

    def date(value: datetime) -> str:
        return format_date(value, format="long", locale=locale)

    def ref(line: OrderLine, item: Fulfillment) -> FulfillmentRef:
        return FulfillmentRef(session_id=order.session_id, line_item_id=line.id, kind=item.kind)

    whole = may_see_all(request, services.links, order, token)
    names = {"session_id": order.session_id, "account": order.account, "token": token}
    response = page(
        request,
        "order_part" if part else "order",
        embeddable=embedded,
        locale=locale,
        order=order,
        whole=whole,
        money=money,
        date=date,
        ref=ref,
        links=services.links,
        query=urlencode({name: value for name, value in names.items() if value}),
        version=version_of(order),
        refresh_s=REFRESH_S if is_open(order) else None,
    )
    if whole and not embedded and not part:
        # A frame's cookie would be a third party's, which browsers keep from us.
        secure = services.public_url.startswith("https:")
        remember(response, services.links, order, secure=secure)
    return response


def version_of(order: Order) -> str:
    """Two orders that look alike have the same one."""
    return hashlib.sha256(order.model_dump_json().encode()).hexdigest()[:16]


def is_open(order: Order) -> bool:
    """Whether the page may change before the customer has seen all of it."""
    return order.state in OPEN_STATES
