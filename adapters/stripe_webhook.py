"""Webhook bodies: verified by Stripe's SDK, and read as far as routing needs."""

import json
from collections.abc import Sequence

import stripe
from pydantic import ValidationError

from domain.errors import InvalidWebhookError
from domain.events import StripeEvent

TOLERANCE_S = stripe.Webhook.DEFAULT_TOLERANCE
"""How old a signature may be; the SDK's own bound against replayed bodies."""


def verify_event(body: bytes, signature: str | None, secrets: Sequence[str]) -> StripeEvent:
    """Verifies a webhook against every configured secret and reads it.

    Raises:
        InvalidWebhookError: No secret signed it, it is too old, not JSON, or not a snapshot
            event.
    """
    try:
        payload = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidWebhookError("the body is not UTF-8") from error
    reason = "no signing secret is configured"
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE_S)
        except stripe.SignatureVerificationError as error:
            reason = error.user_message or "the signature is not ours"
        else:
            return _read(payload)
    raise InvalidWebhookError(reason)


def _read(payload: str) -> StripeEvent:
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidWebhookError("the body is not JSON") from error
    if not isinstance(data, dict) or data.get("object") != "event":
        raise InvalidWebhookError("the body is not a snapshot event")
    try:
        return StripeEvent.model_validate(data)
    except ValidationError as error:
        raise InvalidWebhookError("the event lacks a part that every event has") from error
