"""What the outside says to the workflow and hears from it.

Names and shapes stand in histories: add to them, never rename.
"""

from pydantic import BaseModel, ConfigDict, Field

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
    """What an operator decided about one step, and who and why."""

    step: str = Field(min_length=1)
    by: str = Field(min_length=1)
    reason: str = ""


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
