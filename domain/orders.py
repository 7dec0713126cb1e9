"""An order as it is recorded: its states, its line items and what was done for each."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.checkout import (
    Address,
    CollectedDetails,
    CustomField,
    Payment,
    PaymentMethod,
    QuantityOffer,
)
from domain.money import Money


class OrderState(StrEnum):
    """Where an order stands; all from `FULFILLED` on are ends."""

    AWAITING_PAYMENT = "awaiting_payment"
    FULFILLING = "fulfilling"
    ACTION_REQUIRED = "action_required"
    FULFILLED = "fulfilled"
    PAYMENT_FAILED = "payment_failed"
    EXPIRED = "expired"
    UNKNOWN_SESSION = "unknown_session"
    """Stripe knew no such Checkout Session when it was asked."""
    IGNORED = "ignored"
    """None of it is ours to fulfill: see `domain.checkout.ForeignSessions`."""


OPEN_STATES = frozenset(
    {OrderState.AWAITING_PAYMENT, OrderState.FULFILLING, OrderState.ACTION_REQUIRED}
)
CLOSED_STATES = frozenset(OrderState) - OPEN_STATES
LOST_STATES = frozenset({OrderState.PAYMENT_FAILED, OrderState.EXPIRED})
"""Ends without money: what was held for such an order is given back."""


class FulfillmentState(StrEnum):
    """Where one fulfillment stands; the last two are ends."""

    PENDING = "pending"
    AWAITING_OPERATOR = "awaiting_operator"
    ACTION_REQUIRED = "action_required"
    FULFILLED = "fulfilled"
    SKIPPED = "skipped"


SETTLED_STATES = frozenset({FulfillmentState.FULFILLED, FulfillmentState.SKIPPED})


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlannedFulfillment(_Value):
    """One line item to be delivered one way."""

    line_item_id: str
    kind: str
    parameters: dict[str, str] = {}
    """What the kind needs to know; the kind itself says which keys, and checks them."""


class Fulfillment(PlannedFulfillment):
    """A planned fulfillment and how far it came."""

    state: FulfillmentState
    error: str | None = None
    note: str | None = None
    access_url: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None


class OrderLine(_Value):
    """A line item of an order with its fulfillments."""

    id: str
    description: str
    quantity: int
    quantity_offer: QuantityOffer | None
    subtotal: Money
    discount: Money | None
    tax: Money | None
    total: Money
    price_id: str | None
    product_id: str | None
    fulfillments: tuple[Fulfillment, ...]


class Order(_Value):
    """All that is recorded of an order; parts from Stripe are None until Stripe was asked."""

    session_id: str
    state: OrderState
    error: str | None
    error_step: str | None
    mismatch: str | None
    """Which of Stripe's sums do not add up; see `domain.checkout.mismatch_of`."""
    account: str | None
    """The connected account that sells; None for our own."""
    livemode: bool | None
    mode: str | None
    payment_status: str | None
    payment_intent_id: str | None
    subscription_id: str | None
    payment_link_id: str | None
    payment_method: PaymentMethod | None
    payment_method_types: tuple[str, ...] | None
    subtotal: Money | None
    tax: Money | None
    shipping: Money | None
    discount: Money | None
    total: Money | None
    presentment: Money | None
    customer_id: str | None
    customer_email: str | None
    customer_name: str | None
    collected: CollectedDetails | None
    custom_fields: tuple[CustomField, ...]
    locale: str | None
    shipping_address: Address | None
    client_reference_id: str | None
    metadata: dict[str, str]
    created_at: datetime
    closed_at: datetime | None
    receipt_sent_at: datetime | None
    lines: tuple[OrderLine, ...]


def next_state(
    current: OrderState | None, payment: Payment, *, foreign: bool = False
) -> OrderState:
    """The state of an order after Stripe was asked about its payment.

    What was fulfilled stays fulfilled whatever Stripe says later, a paid order that is being
    worked on goes on, and what was ours stays ours, also when none of its products is described
    any more; any other state follows the payment.

    Args:
        current: The recorded state; None for a new order.
        payment: What Stripe says.
        foreign: Whether none of it is ours to fulfill.
    """
    if current is OrderState.FULFILLED:
        return current
    if foreign and current in {None, OrderState.IGNORED, OrderState.UNKNOWN_SESSION}:
        return OrderState.IGNORED
    working = current in {OrderState.FULFILLING, OrderState.ACTION_REQUIRED}
    match payment:
        case Payment.EXPIRED:
            return OrderState.EXPIRED
        case Payment.FAILED:
            return OrderState.PAYMENT_FAILED
        case Payment.PENDING:
            return OrderState.AWAITING_PAYMENT
        case Payment.SETTLED:
            return current if current and working else OrderState.FULFILLING
