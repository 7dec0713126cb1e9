"""Refunds that this service makes, where what was paid for cannot be delivered.

What is asked for is recorded first, and made at Stripe after that. From then on it is a refund as
any other: see `domain.reversals`.

Source: Stripe's API reference, "Create a refund".
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.money import Money
from domain.reversals import Cause, PaidLine, Reversal

REQUEST_KEY = "fulfillment_refund"
"""In a refund's metadata: the ID of the request that it was made for."""
REQUEST_PREFIX = "rfr_"
"""With it the ID of each request begins."""
POLICY = "policy"
"""Who asks for a refund that the catalog has made automatic."""


class RefundState(StrEnum):
    """Where a refund that was asked for stands."""

    REQUESTED = "requested"
    MADE = "made"
    GIVEN_UP = "given_up"
    """Stripe refused it, and an operator has given it up."""


class RefundReason(StrEnum):
    """Why, in Stripe's own words; without one it is for any other reason."""

    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    REQUESTED_BY_CUSTOMER = "requested_by_customer"


class RefundPolicy(BaseModel):
    """The table `[refunds]` of the catalog: what is refunded without an operator.

    `automatic` lists the codes of problems that stand before the colon in a fulfillment's `error`,
    such as `refund_chosen` or `pool_empty`; the line item is refunded once it meets one of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    automatic: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")], ...] = (
        # The mail has promised it.
        "refund_chosen",
    )

    def covers(self, error: str | None) -> bool:
        """Whether a fulfillment that is stuck so is refunded at once."""
        return error is not None and error.partition(":")[0] in self.automatic


class RefundRequest(BaseModel):
    """A refund that somebody asked for."""

    model_config = ConfigDict(frozen=True)

    id: str
    session_id: str
    state: RefundState
    lines: dict[str, int]
    """Pieces by line item that it takes back; empty where the customer keeps everything."""
    amount: Money | None
    """None is all that is left."""
    reason: RefundReason | None
    by: str
    note: str
    refund_id: str | None = None
    """The refund at Stripe, once it is made."""
    refusals: int = 0
    """How often Stripe has refused it."""
    created_at: datetime


def refunded_pieces(
    reversals: Iterable[Reversal], requests: Iterable[RefundRequest]
) -> dict[str, int]:
    """Pieces that are refunded, or are to be, by line item.

    One that is made counts from then on, and not only once Stripe's event has told of it: else it
    could be asked for twice in between.
    """
    known = tuple(reversals)
    recorded = {each.id for each in known}
    named = [each.lines or {} for each in known if each.counts and each.cause is Cause.REFUND] + [
        each.lines
        for each in requests
        if each.state is RefundState.REQUESTED
        or (each.state is RefundState.MADE and each.refund_id not in recorded)
    ]
    pieces: dict[str, int] = {}
    for lines in named:
        for line_id, count in lines.items():
            pieces[line_id] = pieces.get(line_id, 0) + count
    return pieces


def price_of(
    lines: Mapping[str, int], paid: Sequence[PaidLine], refunded: Mapping[str, int]
) -> int:
    """What pieces were paid, in minor units, tax and discounts included, shipping not.

    Where a price does not divide evenly, refunds of all pieces one by one add up to it.

    Raises:
        ValueError: So many are not there to be refunded.
    """
    amount_minor = 0
    known = {line.id: line for line in paid}
    for line_id, pieces in lines.items():
        line = known.get(line_id)
        gone = refunded.get(line_id, 0)
        if line is None:
            raise ValueError(f"this order has no line item {line_id}")
        if pieces + gone > line.quantity:
            raise ValueError(f"of line item {line_id}, {max(line.quantity - gone, 0)} are left")
        amount_minor += _share(line, gone + pieces) - _share(line, gone)
    return amount_minor


def _share(line: PaidLine, pieces: int) -> int:
    return line.total_minor * pieces // line.quantity
