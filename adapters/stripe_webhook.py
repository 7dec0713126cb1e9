"""Webhook bodies: verified by Stripe's SDK, and read as far as routing needs.

Both forms of events are taken, snapshot and thin, in any API version.
"""

import json
from collections.abc import Sequence
from datetime import datetime

import stripe
from pydantic import BaseModel, ValidationError

from domain.errors import InvalidWebhookError
from domain.events import StripeEvent

TOLERANCE_S = stripe.Webhook.DEFAULT_TOLERANCE
"""How old a signature may be; the SDK's own bound against replayed bodies."""


def verify_event(body: bytes, signature: str | None, secrets: Sequence[str]) -> StripeEvent:
    """Verifies a webhook against every configured secret and reads it.

    Raises:
        InvalidWebhookError: No secret signed it, it is too old, not JSON, or not an event.
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
    kind = data.get("object") if isinstance(data, dict) else None
    try:
        if kind == "event":
            return _SnapshotEvent.model_validate(data).read()
        if kind == "v2.core.event":
            return _ThinEvent.model_validate(data).read()
    except ValidationError as error:
        raise InvalidWebhookError("the event lacks a part that every event has") from error
    raise InvalidWebhookError("the body is not an event")


class _Object(BaseModel):
    id: str | None = None


class _Data(BaseModel):
    object: _Object


class _SnapshotEvent(BaseModel):
    """An event with a copy of its object, in the API version of its endpoint."""

    id: str
    type: str
    livemode: bool
    created: datetime
    data: _Data
    account: str | None = None

    def read(self) -> StripeEvent:
        return StripeEvent(
            id=self.id,
            type=self.type,
            livemode=self.livemode,
            created=self.created,
            object_id=self.data.object.id,
            account=self.account,
        )


class _ThinEvent(BaseModel):
    """An event that only names its object, as event destinations can send them.

    Source: Stripe's page "Event destinations", "Thin events".
    """

    id: str
    type: str
    livemode: bool
    created: datetime
    related_object: _Object | None = None
    context: str | None = None
    snapshot_event: str | None = None

    def read(self) -> StripeEvent:
        return StripeEvent(
            # The two forms of one event are one event, also in the logs.
            id=self.snapshot_event or self.id,
            type=self.type.removeprefix("v1."),
            livemode=self.livemode,
            created=self.created,
            object_id=self.related_object.id if self.related_object else None,
            # A context may be a path, from an organization down to the account.
            account=self.context.rpartition("/")[2] if self.context else None,
        )
