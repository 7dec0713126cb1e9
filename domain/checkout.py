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


class ForeignSessions(StrEnum):
    """What to do about a paid session none of whose products says how it is fulfilled.

    The same Stripe account may sell what is not ours. `HOLD` makes such an order action
    required, so that a product somebody forgot to describe is not lost; `IGNORE` records it
    and closes it.
    """

    HOLD = "hold"
    IGNORE = "ignore"


class Address(_Value):
    """A postal address as Stripe collects it; any part may be missing."""

    name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


class PaymentMethod(_Value):
    """What the customer pays with; `last4` is of a card's or an account's number."""

    type: str
    brand: str | None = None
    last4: str | None = None


class CollectedDetails(_Value):
    """What Checkout asked of the customer beside name, e-mail and shipping address."""

    phone: str | None = None
    business_name: str | None = None
    individual_name: str | None = None
    billing_address: Address | None = None
    tax_ids: tuple[str, ...] = ()
    tax_exempt: str | None = None
    promotions: str | None = None
    """Whether the customer wants promotional mail: `opt_in` or `opt_out`."""
    terms_of_service: str | None = None


class CustomField(_Value):
    """A question of the merchant's own and its answer; of a dropdown the option's value."""

    key: str
    label: str
    value: str | None


class QuantityOffer(_Value):
    """Between which quantities the customer could choose; None where there is no bound."""

    minimum: int | None = None
    maximum: int | None = None


class LineItem(_Value):
    """One line of the purchase; the quantity is what was bought, not what was offered."""

    id: str
    description: str
    quantity: int
    quantity_offer: QuantityOffer | None = None
    """None where the merchant fixed the quantity."""
    subtotal: Money
    """Before discounts and taxes that are added."""
    total: Money
    tax: Money | None = None
    discount: Money | None = None
    price_id: str | None = None
    product_id: str | None = None
    product_metadata: dict[str, str] = {}


class CheckoutSession(_Value):
    """A Checkout Session with all its line items."""

    id: str
    account: str | None = None
    """The connected account that sells; None for our own."""
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
    shipping_total: Money | None = None
    """Shipping with its taxes."""
    discount: Money | None = None
    received: Money | None = None
    """What a succeeded PaymentIntent has brought in."""
    is_reversed: bool = False
    """Whether some of the payment was refunded, or is disputed; a look at `domain.reversals`."""
    presentment: Money | None = None
    """The total in the currency that the customer saw, where Adaptive Pricing changed it."""
    payment_intent_id: str | None = None
    subscription_id: str | None = None
    payment_link_id: str | None = None
    payment_method: PaymentMethod | None = None
    payment_method_types: tuple[str, ...] = ()
    customer_id: str | None = None
    customer_email: str | None = None
    customer_name: str | None = None
    collected: CollectedDetails = CollectedDetails()
    custom_fields: tuple[CustomField, ...] = ()
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
    """Decides by status, mode and payment_status, as `docs/decision-table.md` lists.

    A test holds that table to this function, row by row and for every combination.
    """
    if session.status is SessionStatus.EXPIRED:
        return Payment.EXPIRED
    if session.status is SessionStatus.OPEN:
        return Payment.PENDING
    if session.mode is CheckoutMode.SETUP:
        return Payment.SETTLED
    if session.payment_status is PaymentStatus.UNPAID:
        return Payment.FAILED if session.payment_failed else Payment.PENDING
    return Payment.SETTLED


def mismatch_of(session: CheckoutSession) -> str | None:
    """What does not add up in a session, in one sentence without personal data; None if all does.

    The order is fulfilled all the same, since Stripe has the last word on what was paid; an
    operator is to look at it.

    Source: Stripe's API reference, `total_details` and `shipping_cost` of "The Checkout Session
    object", and `adjustable_quantity` of its line items.
    """
    problems = []
    if session.total is not None and session.line_items:
        shipping_minor = session.shipping_total.amount_minor if session.shipping_total else 0
        sum_minor = sum(item.total.amount_minor for item in session.line_items) + shipping_minor
        if sum_minor != session.total.amount_minor:
            problems.append(
                f"line items and shipping sum to {sum_minor}, the session's total is "
                f"{session.total.amount_minor} (minor units)"
            )
    received, total = session.received, session.total
    # Of another currency where Adaptive Pricing charged in the customer's own.
    if received and total and received.currency == total.currency and received != total:
        problems.append(
            f"{received.amount_minor} were received, the session's total is {total.amount_minor} "
            "(minor units)"
        )
    for item in session.line_items:
        offer = item.quantity_offer
        if offer is None:
            continue
        if (offer.minimum is not None and item.quantity < offer.minimum) or (
            offer.maximum is not None and item.quantity > offer.maximum
        ):
            problems.append(f"{item.id}: {item.quantity} bought, outside what was offered")
    return "; ".join(problems) or None
