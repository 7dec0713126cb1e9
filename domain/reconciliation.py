"""Comparing what Stripe sold with what is recorded: which orders need a push.

| order at our side           | paid at Stripe | payment under way | payment lost |
|-----------------------------|----------------|-------------------|--------------|
| none                        | start          | start             | start        |
| unknown_session             | reopen         | reopen            | nothing      |
| payment_failed, expired     | reopen         | nothing           | nothing      |
| awaiting_payment            | wake           | nothing           | wake         |
| fulfilling, action_required | nothing        | nothing           | nothing      |
| partially_fulfilled         | nothing        | nothing           | nothing      |
| fulfilled, reversed         | nothing        | nothing           | nothing      |
| ignored                     | nothing        | nothing           | nothing      |

An order that needs an operator before it was paid counts as awaiting its payment. One that
fulfills or waits for an operator has its workflow; should that be gone, the sweep over open
orders starts it again.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.checkout import Payment
from domain.money import Money
from domain.orders import LOST_STATES, OrderState
from domain.reversals import ReversalObject


class Action(StrEnum):
    """What reconciliation does about a session."""

    START = "start"
    """No order is recorded: start its workflow."""
    REOPEN = "reopen"
    """It was closed unfulfilled: look again."""
    WAKE = "wake"
    """It waits for a payment that has been decided: look now."""
    REVERSE = "reverse"
    """Money went back, or came again: look what that takes back."""
    NOTHING = "nothing"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SoldSession(_Value):
    """A session as Stripe's lists tell of it: a hint, like an event.

    Everything but the ID and what became of the payment is for people to read.
    """

    id: str
    payment: Payment
    created: datetime | None = None
    mode: str | None = None
    total: Money | None = None


class SoldPage(_Value):
    """One page of a list at Stripe.

    Attributes:
        sessions: What is on it.
        unreadable: How many entries name no session.
        last: The cursor of the next page; None at the end.
    """

    sessions: tuple[SoldSession, ...]
    unreadable: int = 0
    last: str | None = None


class SeenReversal(_Value):
    """A refund, dispute or early fraud warning as Stripe's lists tell of it: a hint."""

    id: str
    kind: ReversalObject
    status: str


class ReversalPage(_Value):
    """One page of a list at Stripe; as `SoldPage`."""

    reversals: tuple[SeenReversal, ...]
    unreadable: int = 0
    last: str | None = None


class Finding(_Value):
    """A session, its order and what is to be done."""

    session: SoldSession
    account: str | None
    state: OrderState | None
    action: Action


def action_for(state: OrderState | None, payment: Payment) -> Action:
    """Decides as the table above."""
    if state is None:
        return Action.START
    lost = payment in {Payment.FAILED, Payment.EXPIRED}
    if state is OrderState.UNKNOWN_SESSION:
        return Action.NOTHING if lost else Action.REOPEN
    if state in LOST_STATES and payment is Payment.SETTLED:
        return Action.REOPEN
    if state is OrderState.AWAITING_PAYMENT and payment is not Payment.PENDING:
        return Action.WAKE
    return Action.NOTHING
