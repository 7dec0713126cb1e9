"""An order as it is recorded: its states, its line items and what was done for each."""

import re
from collections.abc import Set
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from domain.checkout import (
    Address,
    CollectedDetails,
    CustomField,
    Payment,
    PaymentMethod,
    QuantityOffer,
)
from domain.money import Money
from domain.shipping import Parcel

_WEB_LINK = re.compile(r"https?://\S+\Z")


class OrderState(StrEnum):
    """Where an order stands; all from `FULFILLED` on are ends."""

    AWAITING_PAYMENT = "awaiting_payment"
    FULFILLING = "fulfilling"
    PARTIALLY_FULFILLED = "partially_fulfilled"
    """Part of it is delivered, the rest waits for something, and no operator is needed."""
    ACTION_REQUIRED = "action_required"
    FULFILLED = "fulfilled"
    REVERSED = "reversed"
    """All of it went back, with the money."""
    PAYMENT_FAILED = "payment_failed"
    EXPIRED = "expired"
    UNKNOWN_SESSION = "unknown_session"
    """Stripe knew no such Checkout Session when it was asked."""
    IGNORED = "ignored"
    """None of it is ours to fulfill: see `domain.checkout.ForeignSessions`."""


OPEN_STATES = frozenset(
    {
        OrderState.AWAITING_PAYMENT,
        OrderState.FULFILLING,
        OrderState.PARTIALLY_FULFILLED,
        OrderState.ACTION_REQUIRED,
    }
)
CLOSED_STATES = frozenset(OrderState) - OPEN_STATES
LOST_STATES = frozenset({OrderState.PAYMENT_FAILED, OrderState.EXPIRED})
"""Ends without money: what was held for such an order is given back."""


class FulfillmentState(StrEnum):
    """Where one fulfillment stands; the last three are ends."""

    PENDING = "pending"
    BACKORDERED = "backordered"
    """It waits until there is stock."""
    AWAITING_CUSTOMER = "awaiting_customer"
    """The customer was asked something: see `Question`."""
    AWAITING_SERVICE = "awaiting_service"
    """The merchant's own service has it in hand."""
    AWAITING_OPERATOR = "awaiting_operator"
    ACTION_REQUIRED = "action_required"
    FULFILLED = "fulfilled"
    SKIPPED = "skipped"
    REVERSED = "reversed"
    """All of it is taken back, or never delivered, since the money went back."""


SETTLED_STATES = frozenset(
    {FulfillmentState.FULFILLED, FulfillmentState.SKIPPED, FulfillmentState.REVERSED}
)
WAITING_STATES = frozenset(
    {
        FulfillmentState.BACKORDERED,
        FulfillmentState.AWAITING_CUSTOMER,
        FulfillmentState.AWAITING_SERVICE,
    }
)
"""It waits for somebody who is neither us nor an operator."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Question(StrEnum):
    """What a customer is asked about a fulfillment, by a signed link."""

    ADDRESS = "address"
    """The carrier does not know the address: where shall it go?"""
    OUT_OF_STOCK = "out_of_stock"
    """Stock ran out after the payment: wait, or money back? Answered by `StockAnswer`."""


class StockAnswer(StrEnum):
    """What a customer, or the policy after its delay, says to `Question.OUT_OF_STOCK`."""

    WAIT = "wait"
    REFUND = "refund"


class PlannedFulfillment(_Value):
    """One line item to be delivered one way."""

    line_item_id: str
    kind: str
    parameters: dict[str, str] = {}
    """What the kind needs to know; the kind itself says which keys, and checks them."""


class DeliverableType(StrEnum):
    """How pages and mails show what a customer has in hand."""

    LINK = "link"
    KEY = "key"
    FILE = "file"
    TEXT = "text"


class Deliverable(_Value):
    """One thing that a customer has in hand once a fulfillment is done.

    Any kind may hand over any of these; parcels, which move on afterwards, are apart.
    """

    type: DeliverableType
    value: str
    """A link's URL, a key, a file's name as the kind `download` knows it, a sentence."""
    label: str = ""
    """What it is called, where the line item's own name does not say."""
    expires_at: datetime | None = None

    @model_validator(mode="after")
    def _check_link(self) -> Self:
        if self.type is DeliverableType.LINK and not _WEB_LINK.match(self.value):
            # Customers are shown it: `javascript:` would run in our page.
            raise ValueError("a link begins with http:// or https://")
        return self


class Fulfillment(PlannedFulfillment):
    """A planned fulfillment and how far it came."""

    state: FulfillmentState
    error: str | None = None
    note: str | None = None
    question: Question | None = None
    """What the customer is asked now."""
    reversed: int = 0
    """Pieces that are taken back, or not to be delivered: see `domain.reversals`."""
    held: bool = False
    """Whether its delivery has to wait for how a reversal ends."""
    fulfilled_at: datetime | None = None
    """When it was delivered first."""
    delivered: tuple[Deliverable, ...] = ()
    parcels: tuple[Parcel, ...] = ()


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


def ended_as(states: Set[FulfillmentState]) -> OrderState:
    """As what an order ends whose fulfillments have come to these ends."""
    done = states - {FulfillmentState.SKIPPED}
    is_reversed = done == {FulfillmentState.REVERSED}
    return OrderState.REVERSED if is_reversed else OrderState.FULFILLED


def next_state(
    current: OrderState | None, payment: Payment, *, foreign: bool = False
) -> OrderState:
    """The state of an order after Stripe was asked about its payment.

    What was fulfilled, or went back, stays so whatever Stripe says of the payment later, a paid
    order that is being worked on goes on, and what was ours stays ours, also when none of its
    products is described any more; any other state follows the payment.

    Args:
        current: The recorded state; None for a new order.
        payment: What Stripe says.
        foreign: Whether none of it is ours to fulfill.
    """
    if current in {OrderState.FULFILLED, OrderState.REVERSED}:
        return current
    if foreign and current in {None, OrderState.IGNORED, OrderState.UNKNOWN_SESSION}:
        return OrderState.IGNORED
    working = current in OPEN_STATES - {OrderState.AWAITING_PAYMENT}
    match payment:
        case Payment.EXPIRED:
            return OrderState.EXPIRED
        case Payment.FAILED:
            return OrderState.PAYMENT_FAILED
        case Payment.PENDING:
            return OrderState.AWAITING_PAYMENT
        case Payment.SETTLED:
            return current if current and working else OrderState.FULFILLING
