"""What we read of a Checkout Session, and whether it is to be fulfilled.

Source: Stripe's API reference, "The Checkout Session object", and the guide "Fulfill orders".
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.money import Money


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SessionStatus(StrEnum):
    """`status` of a Checkout Session."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class PaymentStatus(StrEnum):
    """`payment_status` of a Checkout Session."""

    PAID = "paid"
    UNPAID = "unpaid"
    NO_PAYMENT_REQUIRED = "no_payment_required"


class CheckoutMode(StrEnum):
    """`mode` of a Checkout Session."""

    PAYMENT = "payment"
    SUBSCRIPTION = "subscription"
    SETUP = "setup"


class Address(_Value):
    """A postal address as Stripe collects it; any part may be missing."""

    name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


class LineItem(_Value):
    """One line of the purchase; the quantity is what was bought, not what was offered."""

    id: str
    description: str
    quantity: int
    subtotal: Money
    """Before discounts and taxes that are added."""
    total: Money
    price_id: str | None = None
    product_id: str | None = None
    product_metadata: dict[str, str] = {}


class CheckoutSession(_Value):
    """A Checkout Session with all its line items."""

    id: str
    livemode: bool
    created: datetime
    mode: CheckoutMode
    status: SessionStatus
    payment_status: PaymentStatus
    payment_failed: bool = False
    """A delayed payment was tried and failed: its PaymentIntent asks for another method."""
    subtotal: Money | None = None
    total: Money | None = None
    tax: Money | None = None
    shipping: Money | None = None
    discount: Money | None = None
    payment_intent_id: str | None = None
    payment_method_types: tuple[str, ...] = ()
    customer_email: str | None = None
    customer_name: str | None = None
    locale: str | None = None
    shipping_address: Address | None = None
    client_reference_id: str | None = None
    metadata: dict[str, str] = {}
    url: str | None = None
    """Where an open session is paid."""
    line_items: tuple[LineItem, ...] = ()


class Payment(StrEnum):
    """What a session's payment means for its order."""

    SETTLED = "settled"
    PENDING = "pending"
    FAILED = "failed"
    EXPIRED = "expired"


def payment_of(session: CheckoutSession) -> Payment:
    """Decides by status, mode and payment_status.

    | status   | payment_status      | PaymentIntent   | outcome |
    |----------|---------------------|-----------------|---------|
    | expired  | any                 | any             | EXPIRED |
    | open     | any                 | any             | PENDING |
    | complete | paid                | any             | SETTLED |
    | complete | no_payment_required | any             | SETTLED: free, trial or setup |
    | complete | unpaid              | failed for good | FAILED  |
    | complete | unpaid              | any other       | PENDING: a delayed payment method |

    `mode` decides nothing here: a setup session has no line items, so settling it fulfills
    nothing, and a subscription's first period is settled as its session says.
    """
    if session.status is SessionStatus.EXPIRED:
        return Payment.EXPIRED
    if session.status is SessionStatus.OPEN:
        return Payment.PENDING
    if session.payment_status is PaymentStatus.UNPAID:
        return Payment.FAILED if session.payment_failed else Payment.PENDING
    return Payment.SETTLED
