"""Where customers are sent to pay: `POST /checkout`, and `GET /try-again?session_id=…`.

`POST /checkout` opens a Checkout Session for a cart; it is there only when there is a catalog,
and sells only what that lists. Anybody may call it, and nothing in a request is believed but
which prices, and how many.

`/try-again` is the link in the mail about a failed payment. A lost session, failed or expired,
has at most one session that replaces it, which may be lost and replaced in turn; the link leads
to the end of that chain, and adds to it when its end is lost. Each link of the chain stands in
the metadata of a session, and is found by the customer's e-mail address, for as long as Stripe
keeps sessions. What two requests at once add is the same by Stripe's idempotency keys, which
last at least a day, as long as an open session lives: so there are never two sessions to pay.
A session without an e-mail address, expired before anybody entered one, has only the keys: a day
after the link was first opened, it leads to a new session whatever became of the first. No mail
goes out for such a session. A mail scanner that follows the link leaves an unpaid session,
which expires.

Source: Stripe's API reference, "Create a Checkout Session" and "Idempotent requests".
"""

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, field_validator

from api.pages import HEADERS, REFRESH_S, could_be_ours, locale_for, page
from api.services import Services, ServicesOf, count_visit
from domain.checkout import CheckoutSession, Payment, SessionStatus, payment_of
from domain.errors import PermanentError, SessionUnknownError, TransientError
from domain.links import order_query
from domain.storefront import (
    REPLACES,
    CheckoutRefusedError,
    KeyReusedError,
    NewCheckout,
    WantedItem,
    basket_of,
    checkout_locale,
    last_replacement,
)

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Storefront"])
"""What is there always."""
checkout_router = APIRouter(tags=["Storefront"])
"""What is there with a catalog only."""

CHECKOUT_PATH = "/checkout"
MAX_BODY_BYTES = 256 * 1024
"""More than the limits below come to."""
MAX_ITEMS = 100
MAX_QUANTITY = 999
MAX_METADATA = 49
"""One less than Stripe's: one is kept for `/try-again`."""
MAX_LOST = 5
"""How many sessions may turn out to be lost while one customer waits."""
_LOST = frozenset({Payment.FAILED, Payment.EXPIRED})


class CheckoutItem(BaseModel):
    """So many pieces at a price of the catalog, or of one of its products."""

    model_config = ConfigDict(extra="forbid")

    price: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
    quantity: Annotated[StrictInt, Field(ge=1, le=MAX_QUANTITY)] = 1


class CheckoutRequest(BaseModel):
    """A cart. What the customer's browser sends here besides is kept, and believed by nobody."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"items": [{"price": "price_123", "quantity": 2}]}]},
    )

    items: Annotated[list[CheckoutItem], Field(min_length=1, max_length=MAX_ITEMS)]
    ui_mode: Literal["hosted", "embedded"] = "hosted"
    """`hosted` answers a URL to go to, `embedded` a secret to mount Checkout in a page with."""
    locale: Annotated[str, StringConstraints(min_length=2, max_length=35)] | None = None
    """In the browser's own language where Checkout does not speak it."""
    customer_email: (
        Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None
    ) = None
    client_reference_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = (
        None
    )
    metadata: Annotated[
        dict[
            Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[^\[\]]+$")],
            Annotated[str, StringConstraints(min_length=1, max_length=500)],
        ],
        Field(max_length=MAX_METADATA),
    ] = {}

    @field_validator("metadata")
    @classmethod
    def _check_metadata(cls, value: dict[str, str]) -> dict[str, str]:
        if REPLACES in value:
            # Whoever could set it could put a cart of theirs behind a customer's link.
            raise ValueError(f"{REPLACES} is not for requests")
        return value


class HostedCheckout(BaseModel):
    """A session that is paid at its URL."""

    id: str
    url: str


class EmbeddedCheckout(BaseModel):
    """A session that Stripe.js mounts in a page of the shop."""

    id: str
    client_secret: str


IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=16,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key answers the same session, for a day: a random one, such as a "
        "UUID, for each cart, sent with each try to check it out.",
    ),
]


@checkout_router.post(
    CHECKOUT_PATH,
    status_code=201,
    dependencies=[Depends(count_visit)],
    response_model=HostedCheckout | EmbeddedCheckout,
    responses={
        400: {"description": "Something is not on sale, or Stripe refuses it"},
        409: {"description": "The Idempotency-Key belongs to another request"},
        413: {"description": "The request is too large"},
        429: {"description": "One address asks too often"},
        503: {"description": "Stripe cannot answer: try again with the same Idempotency-Key"},
    },
    max_body_size=MAX_BODY_BYTES,
)
async def open_checkout(
    cart: CheckoutRequest, services: ServicesOf, idempotency_key: IdempotencyKey = None
) -> Response:
    """Opens a Checkout Session for a cart."""
    wanted = [WantedItem(price=item.price, quantity=item.quantity) for item in cart.items]
    try:
        prices = await services.checkouts.prices({item.price for item in wanted})
        opened = await services.checkouts.open(
            NewCheckout(
                basket=basket_of(wanted, prices, services.catalog),
                options=services.catalog.checkout,
                landing_url=_landing_url(services, None),
                is_embedded=cart.ui_mode == "embedded",
                locale=checkout_locale(cart.locale),
                customer_email=cart.customer_email,
                client_reference_id=cart.client_reference_id,
                metadata=cart.metadata,
            ),
            f"checkout:{idempotency_key}" if idempotency_key else None,
        )
    except PermanentError as error:
        logger.warning("no checkout: %s", error.message)
        reason = error.reason if isinstance(error, CheckoutRefusedError) else error.message
        status = 409 if isinstance(error, KeyReusedError) else 400
        return JSONResponse({"error": reason}, status_code=status)
    logger.info("checkout %s is open", opened.id)
    answer = (
        HostedCheckout(id=opened.id, url=opened.url)
        if opened.url is not None
        else EmbeddedCheckout(id=opened.id, client_secret=opened.client_secret or "")
    )
    return JSONResponse(answer.model_dump(), status_code=201, headers={"Cache-Control": "no-store"})


@router.get(
    "/try-again",
    status_code=303,
    dependencies=[Depends(count_visit)],
    response_class=RedirectResponse,
    responses={
        404: {"description": "No such session, or nothing that can be paid again"},
        503: {"description": "Stripe cannot answer now"},
    },
)
async def try_again(
    request: Request, services: ServicesOf, session_id: str = "", account: str | None = None
) -> Response:
    """Leads to where a lost payment can be made again, or to the order if that is paid."""
    if not could_be_ours(session_id, account, services):
        return page(request, "not_found", status=404)
    locale = locale_for(request)
    try:
        session = await services.sessions.retrieve(session_id, account)
        locale = locale_for(request, session.locale)
        url = await _where_to_pay(services, session, account)
    except SessionUnknownError as error:
        logger.info("try-again for a session that Stripe does not know: %s", error.message)
        return page(request, "not_found", status=404, locale=locale)
    except PermanentError as error:
        logger.warning("%s cannot be paid again: %s", session_id, error.message)
        return page(request, "no_retry", status=404, locale=locale)
    except TransientError as error:
        logger.warning("try-again without an answer: %s", error.message)
        return page(request, "unavailable", status=503, refresh_s=REFRESH_S, locale=locale)
    return RedirectResponse(url, status_code=303, headers=HEADERS)


async def _where_to_pay(services: Services, asked: CheckoutSession, account: str | None) -> str:
    """The URL of the open session at the end of the chain, or of the order's page if it is paid."""
    session = asked
    for _ in range(MAX_LOST):
        if payment_of(session) not in _LOST:
            return _url_of(session, account)
        replacements = await services.checkouts.replacements(session)
        last = last_replacement(session, replacements)
        if last is not None:
            session = await services.sessions.retrieve(last.id, account)
            if payment_of(session) not in _LOST:
                return _url_of(session, account)
        replacing = await services.checkouts.replace(session, _landing_url(services, account))
        session = await services.sessions.retrieve(replacing, account)
    raise TransientError("replaced_too_often", f"{asked.id} is replaced again and again")


def _url_of(session: CheckoutSession, account: str | None) -> str:
    """Where an open session is paid; the order's page for all others, and embedded ones."""
    if session.status is SessionStatus.OPEN and session.url is not None:
        return session.url
    return f"/after-checkout?{order_query(session.id, account)}"


def _landing_url(services: Services, account: str | None) -> str:
    # Stripe fills the placeholder in only where it stands unquoted.
    return services.links.order("{CHECKOUT_SESSION_ID}", account)
