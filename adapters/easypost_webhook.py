"""Tracking callbacks of EasyPost, verified through its own SDK.

Sources: EasyPost's API documentation, "Webhooks", "Events", "Trackers".
"""

from collections.abc import Mapping, Sequence

from easypost.errors.general.signature_verification_error import SignatureVerificationError
from easypost.util import validate_webhook
from pydantic import AwareDatetime, BaseModel, ValidationError

from domain.errors import InvalidWebhookError
from domain.shipping import ParcelStatus, TrackingUpdate

SIGNATURE = "X-Hmac-Signature"
TRACKER_UPDATED = "tracker.updated"
_STATUS = {
    "in_transit": ParcelStatus.IN_TRANSIT,
    "out_for_delivery": ParcelStatus.IN_TRANSIT,
    "available_for_pickup": ParcelStatus.IN_TRANSIT,
    "delivered": ParcelStatus.DELIVERED,
    "return_to_sender": ParcelStatus.EXCEPTION,
    "failure": ParcelStatus.EXCEPTION,
    "cancelled": ParcelStatus.EXCEPTION,
    "error": ParcelStatus.EXCEPTION,
}
"""Trackers are `unknown` or `pre_transit` before that, which is nothing new."""


class _Tracker(BaseModel):
    tracking_code: str
    status: str
    status_detail: str | None = None
    updated_at: AwareDatetime
    shipment_id: str | None = None


class _Event(BaseModel):
    id: str
    description: str


class _TrackerUpdated(_Event):
    result: _Tracker


def read_tracking(
    body: bytes, headers: Mapping[str, str], secrets: Sequence[str]
) -> TrackingUpdate | None:
    """Verifies a callback, and reads it.

    EasyPost's signature covers no time, so an old callback can be played again; it is recorded
    once per event all the same.

    Args:
        body: As it came.
        headers: All of the request's.
        secrets: As given to EasyPost with the webhook's URL; several while one is being rotated.

    Returns:
        What it tells; None of what we do not ask to know.

    Raises:
        InvalidWebhookError: None of the secrets signed it, or it cannot be understood.
    """
    _verify(body, headers.get(SIGNATURE), secrets)
    try:
        if _Event.model_validate_json(body).description != TRACKER_UPDATED:
            return None
        event = _TrackerUpdated.model_validate_json(body)
    except ValidationError as error:
        raise InvalidWebhookError("the body is no event of EasyPost's") from error
    status = _STATUS.get(event.result.status)
    if status is None:
        return None
    return TrackingUpdate(
        event_id=event.id,
        carrier_shipment_id=event.result.shipment_id,
        tracking_number=event.result.tracking_code,
        status=status,
        message=event.result.status_detail,
        # Not the scan's own time, which lacks its time zone where the place is not known.
        at=event.result.updated_at,
    )


def _verify(body: bytes, signature: str | None, secrets: Sequence[str]) -> None:
    reason = "no signing secret is configured"
    for secret in secrets:
        try:
            validate_webhook(body, {SIGNATURE: signature}, secret)
        except SignatureVerificationError as error:
            reason = error.message
        except (TypeError, ValueError):
            # What the SDK makes of a header that is not ASCII, and of a body that is not JSON.
            reason = "the body or its signature is malformed"
        else:
            return
    raise InvalidWebhookError(reason)
