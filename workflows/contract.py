"""What the outside says to the workflow and hears from it.

Names and shapes stand in histories: add to them, never rename.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.checkout import Address
from domain.formats import StorableText
from domain.mail import check_address
from domain.orders import FulfillmentState, OrderState

WORKFLOW = "FulfillCheckout"
EVENT_SIGNAL = "checkout_event_received"
NEWS_SIGNAL = "fulfillment_news"
REVERSAL_SIGNAL = "reversal_recorded"
REVERSAL_EVENT_SIGNAL = "reversal_event_received"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class FulfillCheckoutInput(_Message):
    """Which Checkout Session to fulfill; its ID is also the workflow's."""

    session_id: str
    account: str | None = None
    """The connected account that it belongs to; None for our own."""
    searchable: bool = False
    """Whether it sets search attributes; those that began under 0.3.0 end as they began."""


class CheckoutEvent(_Message):
    """Stripe said that something happened to the session: a hint to look."""

    id: str
    type: str


class FulfillmentNews(_Message):
    """Something was recorded that a step may wait for: a hint to look."""

    step: str


class ReversalRecorded(_Message):
    """Money went back, or came again: a hint to look at every delivery."""

    id: str
    """Which of Stripe's objects told of it."""


class OperatorDecision(_Message):
    """What an operator decided about one step, and who and why.

    Its bounds are `Steps.check`'s: what an older release has accepted is to replay.
    """

    step: str = Field(min_length=1)
    by: str = Field(min_length=1)
    reason: str = ""


class OperatorRequest(_Message):
    """What an operator wants done to an order, and who and why."""

    by: StorableText = Field(min_length=1, max_length=200)
    reason: StorableText = Field(default="", max_length=1000)
    """No personal data: it stands in the order's timeline."""


class ReasonedRequest(OperatorRequest):
    """As `OperatorRequest`, of what needs a reason."""

    reason: StorableText = Field(min_length=1, max_length=1000)


class ResendReceiptRequest(OperatorRequest):
    """To whom the receipt goes again."""

    to: Annotated[str, AfterValidator(check_address)] | None = None
    """A corrected mail address, also of later mails; by default where they go now."""


class ChangeAddressRequest(OperatorRequest):
    """Where the parcels shall go that no carrier has booked yet."""

    address: Address
    phone: StorableText | None = None

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        given = self.address
        if not (given.name and given.line1 and given.country):
            raise ValueError("an address has a name, line1 and a country at least")
        if any("\0" in text for text in given.model_dump(exclude_none=True).values()):
            raise ValueError("an address holds no NUL characters")
        return self


class StepView(_Message):
    """One step of an order, as operators see it."""

    step: str
    state: str
    tries: int
    error: str | None = None


class FulfillmentSummary(_Message):
    """How one fulfillment ended."""

    line_item_id: str
    kind: str
    state: FulfillmentState


class FulfillmentResult(_Message):
    """How an order ended."""

    session_id: str
    state: OrderState
    fulfillments: tuple[FulfillmentSummary, ...] = ()


class ReversalResult(_Message):
    """How a reversal ended."""

    id: str
    session_id: str | None = None
    """None where no order of ours was paid by that payment."""
