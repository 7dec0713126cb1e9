"""Tracking callbacks of a carrier that is reached over HTTP; docs/carrier.md describes them."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from adapters import standard_webhooks
from domain.errors import InvalidWebhookError
from domain.shipping import ParcelStatus, TrackingUpdate

TRACKING_UPDATED = "tracking.updated"
MOST_TEXT = 500


class _Tracking(BaseModel):
    reference: str
    status: Literal[ParcelStatus.IN_TRANSIT, ParcelStatus.DELIVERED, ParcelStatus.EXCEPTION]
    message: str | None = Field(None, max_length=MOST_TEXT)
    at: AwareDatetime


class _Event(BaseModel):
    type: str


class _TrackingUpdated(_Event):
    data: _Tracking


def read_tracking(
    body: bytes, headers: Mapping[str, str], secrets: Sequence[str]
) -> TrackingUpdate | None:
    """Verifies a callback, and reads it.

    Args:
        body: As it came.
        headers: All of the request's.
        secrets: `whsec_…`; several while one is being rotated.

    Returns:
        What it tells; None of what we do not ask to know.

    Raises:
        InvalidWebhookError: None of the secrets signed it, or it cannot be understood.
    """
    standard_webhooks.verify(body, headers, secrets)
    try:
        if _Event.model_validate_json(body).type != TRACKING_UPDATED:
            return None
        data = _TrackingUpdated.model_validate_json(body).data
    except ValidationError as error:
        raise InvalidWebhookError("the body is not as docs/carrier.md describes it") from error
    return TrackingUpdate(
        event_id=headers["webhook-id"],
        reference=data.reference,
        status=data.status,
        message=data.message,
        at=data.at,
    )
