"""What is said to the merchant's own service that fulfills, and what it answers.

The shapes are described for its authors in docs/service.md.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.checkout import Address
from domain.orders import Deliverable, DeliverableType

MAX_DELIVERED = 100
MAX_VALUE_LENGTH = 2000


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class CallStatus(StrEnum):
    """How far the service is with what it was asked."""

    ASKED = "asked"
    """Recorded, and no word yet."""
    PENDING = "pending"
    """It has it in hand, and calls back."""
    FULFILLED = "fulfilled"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """An operator gave it up before the service had a final word."""


FINAL_STATUSES = frozenset({CallStatus.FULFILLED, CallStatus.FAILED, CallStatus.ABANDONED})


class ServiceCustomer(_Value):
    """Who bought it, as far as Checkout asked."""

    id: str | None
    email: str | None
    name: str | None
    phone: str | None
    shipping_address: Address | None


class ServiceItem(_Value):
    """What was bought."""

    id: str
    description: str
    quantity: int
    price_id: str | None
    product_id: str | None
    amount_total_minor: int
    currency: str


class SoldItem(_Value):
    """A line item, its buyer and its order; personal data included."""

    session_id: str
    account: str | None
    livemode: bool
    locale: str | None
    client_reference_id: str | None
    line_item: ServiceItem
    customer: ServiceCustomer


class ServiceOrder(SoldItem):
    """All that the service needs to know."""

    webhook_data: str | None
    """As the catalog has it."""
    callback_url: str
    """Where it says later what it could not say at once."""


class ServiceRequest(_Value):
    """One request, in the form that Standard Webhooks recommends."""

    id: str
    """Of the call; the same on each try."""
    type: Literal["fulfillment.requested"] = "fulfillment.requested"
    timestamp: datetime
    """When it was first asked."""
    data: ServiceOrder


class ServiceReversal(_Value):
    """How much of what the service delivered is still paid for."""

    fulfillment_id: str
    """The ID under which it was asked."""
    session_id: str
    account: str | None
    livemode: bool
    line_item_id: str
    quantity: int
    """Pieces that were bought."""
    quantity_kept: int
    """Pieces that the customer is to have from now on; none: all of it is taken back."""
    webhook_data: str | None
    """As the catalog has it."""


class ServiceReversalRequest(_Value):
    """One word of a reversal, in the form that Standard Webhooks recommends."""

    id: str
    """The same on each try, and another one whenever `quantity_kept` has changed."""
    type: Literal["fulfillment.reversed"] = "fulfillment.reversed"
    timestamp: datetime
    data: ServiceReversal


class ServiceAnswer(_Value):
    """What the service says, at once or when it calls back."""

    status: Literal[CallStatus.PENDING, CallStatus.FULFILLED, CallStatus.FAILED]
    delivered: Annotated[tuple[Deliverable, ...], Field(max_length=MAX_DELIVERED)] = ()
    """What the customer has in hand now: links, keys and texts."""
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")] | None = None
    """Why it failed: a short word, such as `no_seats_left`. It stands in Temporal's history,
    where no personal data may be."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.delivered and self.status != CallStatus.FULFILLED:
            raise ValueError("only what is fulfilled is delivered")
        for each in self.delivered:
            if each.type is DeliverableType.FILE:
                raise ValueError("a file is delivered as a link to it")
            if max(len(each.value), len(each.label)) > MAX_VALUE_LENGTH:
                raise ValueError(f"a value or label is longer than {MAX_VALUE_LENGTH} characters")
            if "\0" in each.value + each.label:
                raise ValueError("a value or label holds a null character")
        return self
