"""`POST /webhook`: verify, store durably in Temporal, acknowledge.

The answer is 2xx only once the Temporal server has the event; anything else makes Stripe
deliver it again, for up to three days.

Source: Stripe's pages "Receive Stripe events in your webhook endpoint" and "Fulfill orders".
"""

import logging
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from structlog.contextvars import bind_contextvars

from api.bodies import read_body
from api.events import UnusableEventError, handler_of
from api.metrics import WEBHOOK_EVENTS, WEBHOOK_LAG
from api.services import Services, ServicesOf
from domain.errors import InvalidWebhookError, TransientError
from domain.events import StripeEvent
from domain.ids import is_checkout_session_id

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Stripe"])

RETRY_AFTER_S = 5
"""When Stripe, or a client, may ask again."""


@router.post(
    "/webhook",
    responses={
        400: {"description": "Not an event that one of our secrets signed"},
        503: {"description": "Temporal could not store it: deliver it again"},
    },
)
async def receive_webhook(request: Request, services: ServicesOf) -> JSONResponse:
    """Takes one event from Stripe."""
    try:
        body = await read_body(request)
        event = services.verify_event(body, request.headers.get("Stripe-Signature"))
    except InvalidWebhookError as error:
        WEBHOOK_EVENTS.labels(type="unknown", outcome="invalid").inc()
        logger.warning("webhook refused: %s", error)
        return JSONResponse({"error": str(error)}, status_code=400)

    session = event.object_id if is_checkout_session_id(event.object_id or "") else None
    bind_contextvars(
        event_id=event.id,
        event_type=event.type,
        **({"session_id": session} if session else {"object_id": event.object_id}),
    )

    def answer(outcome: str, status: int = 200, **headers: str) -> JSONResponse:
        WEBHOOK_EVENTS.labels(type=event.type, outcome=outcome).inc()
        logger.info("event %s (%s) of %s: %s", event.id, event.type, event.object_id, outcome)
        return JSONResponse({"received": outcome}, status_code=status, headers=headers)

    handler = handler_of(event.type)
    if handler is None:
        return answer("ignored")
    if foreign := _not_ours(event, services):
        return answer(foreign)
    try:
        await handler(event, services.fulfillments)
    except UnusableEventError:
        return answer("unusable")
    except TransientError as error:
        logger.error("event %s is not stored: %s", event.id, error.message)  # noqa: TRY400 - no defect
        return answer("unavailable", 503, **{"Retry-After": str(RETRY_AFTER_S)})
    WEBHOOK_LAG.observe(max(0.0, (datetime.now(UTC) - event.created).total_seconds()))
    return answer("accepted")


def _not_ours(event: StripeEvent, services: Services) -> str | None:
    """Why an event concerns another deployment; None when it is ours."""
    if event.livemode != services.livemode:
        return "wrong_mode"
    return None if services.is_ours(event.account) else "foreign_account"
