"""What proves to a bank that a disputed order was delivered.

Source: Stripe's API reference, "The Dispute object" (`evidence`), and its page "Dispute evidence
best practices".
"""

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from domain.checkout import Address
from domain.orders import Order
from domain.reversals import Reversal
from domain.shipping import ParcelStatus

MAX_TEXT = 20_000
"""Characters of one text of evidence."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SentEmail(_Value):
    """A mail that the customer got."""

    name: str
    recipient: str | None
    """None once it is erased."""
    sent_at: datetime
    bounced_at: datetime | None


class UsedAccess(_Value):
    """A time that the customer used what was delivered."""

    at: datetime
    event: str
    subject: str
    ip: str | None
    user_agent: str | None


class TrackedParcel(_Value):
    """A parcel, and what the carrier told of it."""

    number: int
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None
    status: ParcelStatus
    booked_at: datetime
    events: tuple["TrackingEvent", ...]


class TrackingEvent(_Value):
    """What a carrier told."""

    at: datetime
    status: str
    message: str | None


class StripeEvidence(_Value):
    """The texts that Stripe takes as a dispute's `evidence`; None where there is nothing to say."""

    product_description: str | None
    customer_name: str | None
    customer_email_address: str | None
    billing_address: str | None
    shipping_address: str | None
    shipping_carrier: str | None
    shipping_date: str | None
    shipping_tracking_number: str | None
    service_date: str | None
    access_activity_log: str | None


class EvidencePack(_Value):
    """All that proves an order's delivery."""

    made_at: datetime
    order: Order
    reversals: tuple[Reversal, ...]
    parcels: tuple[TrackedParcel, ...]
    emails: tuple[SentEmail, ...]
    uses: tuple[UsedAccess, ...]
    stripe: StripeEvidence
    """To be sent to Stripe as it is."""


def stripe_evidence(
    order: Order, parcels: Iterable[TrackedParcel], uses: Iterable[UsedAccess]
) -> StripeEvidence:
    """Puts what is known of a delivery into Stripe's words."""
    shipped = [each for each in parcels if each.tracking_number]
    fulfilled = [
        item.fulfilled_at
        for line in order.lines
        for item in line.fulfillments
        if item.fulfilled_at is not None
    ]
    billing = order.collected.billing_address if order.collected else None
    log = [
        " ".join(filter(None, (each.at.isoformat(), each.event, each.subject, each.ip)))
        for each in uses
    ]
    return StripeEvidence(
        product_description=_text(f"{line.quantity} x {line.description}" for line in order.lines),
        customer_name=order.customer_name,
        customer_email_address=order.customer_email,
        billing_address=_address(billing),
        shipping_address=_address(order.shipping_address),
        shipping_carrier=_text(dict.fromkeys(each.carrier or "" for each in shipped)),
        shipping_date=min(each.booked_at for each in shipped).date().isoformat()
        if shipped
        else None,
        shipping_tracking_number=_text(each.tracking_number or "" for each in shipped),
        service_date=min(fulfilled).date().isoformat() if fulfilled else None,
        access_activity_log=_text(log),
    )


def _text(lines: Iterable[str]) -> str | None:
    return "\n".join(filter(None, lines))[:MAX_TEXT] or None


def _address(address: Address | None) -> str | None:
    if address is None:
        return None
    parts = (
        address.name,
        address.line1,
        address.line2,
        address.postal_code,
        address.city,
        address.state,
        address.country,
    )
    return ", ".join(part for part in parts if part) or None
