"""Money that goes back, and what it takes back with it.

A reversal is a refund, a dispute or an early fraud warning at Stripe. Which pieces of which line
items it is about, and what that means for each way they are delivered, is decided here, from all
reversals of an order together and from nothing else: so it does not matter in which order they
are heard of, how often, or whether one was undone in between.

| cause            | at Stripe                                           | by default        |
|------------------|-----------------------------------------------------|-------------------|
| `refund`         | a refund that is pending or succeeded               | revoke            |
| `inquiry`        | a dispute whose status begins with `warning_`       | hold; digital: keep |
| `dispute_opened` | `needs_response`, `under_review`: the money is away | hold; digital: revoke |
| `dispute_lost`   | `lost`, `prevented`                                 | revoke            |
| `fraud_warning`  | an early fraud warning that is `actionable`         | hold              |

A failed or canceled refund, a dispute that was won and a closed inquiry count for nothing: what
they took is given back.

Source: Stripe's pages "Refund and cancel payments", "How disputes work" and "Early fraud
warnings", and its API reference, "The Refund object", "The Dispute object" and "The Early Fraud
Warning object".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.money import Money

LINE_ITEMS_KEY = "line_items"
"""In a refund's metadata: which pieces it pays back, as `li_1=2, li_2`."""
_PIECES = re.compile(r"(?P<id>[A-Za-z0-9_]+)(\s*[=:]\s*(?P<quantity>[0-9]{1,9}))?")


class Cause(StrEnum):
    """Why money goes back, or may: see the table above."""

    REFUND = "refund"
    INQUIRY = "inquiry"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_LOST = "dispute_lost"
    FRAUD_WARNING = "fraud_warning"


class ReversalObject(StrEnum):
    """Which of Stripe's objects tells that money goes back."""

    REFUND = "refund"
    CHARGE = "charge"
    """That it is refunded, not by which refund."""
    DISPUTE = "dispute"
    FRAUD_WARNING = "early_fraud_warning"


def object_of(cause: Cause) -> ReversalObject:
    """Which of Stripe's objects tells of a cause."""
    match cause:
        case Cause.REFUND:
            return ReversalObject.REFUND
        case Cause.FRAUD_WARNING:
            return ReversalObject.FRAUD_WARNING
        case Cause.INQUIRY | Cause.DISPUTE_OPENED | Cause.DISPUTE_LOST:
            return ReversalObject.DISPUTE


_MONEY_IS_GONE = frozenset({Cause.REFUND, Cause.DISPUTE_LOST})


class Treatment(StrEnum):
    """What a cause means for what is delivered one way."""

    REVOKE = "revoke"
    """What is delivered is taken back, what is not is never delivered."""
    KEEP = "keep"
    """Nothing happens."""
    HOLD = "hold"
    """What is not delivered waits until it is known how this ends; the rest stays."""
    REVIEW = "review"
    """As `HOLD`, until an operator chooses between `REVOKE` and `KEEP`."""


class Decision(StrEnum):
    """What an operator says about a reversal."""

    REVOKE = "revoke"
    KEEP = "keep"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReversalPolicy(BaseModel):
    """A table `[reversals.*]` of the catalog: what each cause means for one fulfillment kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refund: Treatment = Treatment.REVOKE
    inquiry: Treatment = Treatment.HOLD
    dispute_opened: Treatment = Treatment.HOLD
    dispute_lost: Treatment = Treatment.REVOKE
    fraud_warning: Treatment = Treatment.HOLD

    def treatment(self, cause: Cause) -> Treatment:
        """What this cause means."""
        treatment: Treatment = getattr(self, cause)
        return treatment


_DIGITAL = ReversalPolicy(inquiry=Treatment.KEEP, dispute_opened=Treatment.REVOKE)
DEFAULT_POLICIES: Mapping[str, ReversalPolicy] = {
    # What costs nothing to give back is taken at once: it can be used up within the hour.
    "access": _DIGITAL,
    "license_key": _DIGITAL,
    "download": _DIGITAL,
}


class StripeReversal(_Value):
    """A refund, a dispute or an early fraud warning, as Stripe knows it now."""

    id: str
    cause: Cause
    status: str
    """Stripe's own word; of a warning whether it is actionable."""
    counts: bool
    """Whether it stands: False once it failed, or was decided for the merchant."""
    amount: Money | None
    """None for a warning."""
    reason: str | None = None
    """Stripe's own word for why."""
    line_items: str | None = None
    """What a refund's metadata says of the pieces it pays back: see `read_lines`."""
    request_id: str | None = None
    """Which request of ours a refund was made for: see `domain.refunds`."""
    created_at: datetime


class Reversal(_Value):
    """A refund, a dispute or an early fraud warning, as it is recorded."""

    id: str
    session_id: str
    cause: Cause
    status: str
    """Stripe's own word."""
    counts: bool
    """Whether it stands: False once it failed, or was decided for the merchant."""
    amount: Money | None
    """None for a warning."""
    reason: str | None = None
    """Stripe's own word for why."""
    lines: dict[str, int] | None = None
    """Pieces by line item; None where nobody has said."""
    problem: str | None = None
    """Why nobody could tell which pieces."""
    decision: Decision | None = None
    created_at: datetime


_FINAL = frozenset({"failed", "canceled", "warning_closed", "won", "lost", "prevented"})


_REFUND_WATCH = timedelta(days=45)
"""A refund that has succeeded can fail for as long as the bank takes: up to 30 days."""
_DISPUTE_WATCH = timedelta(days=180)
"""Longer than an inquiry is open (120 days), or a chargeback is decided."""


def is_final(reversal: Reversal) -> bool:
    """Whether Stripe will not say anything else of it, as far as one knows."""
    return reversal.status in _FINAL


def is_watched(reversal: Reversal, now: datetime) -> bool:
    """Whether Stripe is still to be asked about it by ourselves; an event is heeded for ever.

    Source: Stripe's pages "Refund and cancel payments" and "How disputes work".
    """
    is_refunded = reversal.status == "succeeded"
    watch = _REFUND_WATCH if is_refunded else _DISPUTE_WATCH
    return reversal.counts and not is_final(reversal) and now - reversal.created_at < watch


def supersedes(new: Reversal, old: Reversal) -> bool:
    """Whether `new` was said after `old`, which may have been read at the same moment.

    A refund that has failed never succeeds any more, and what was decided is not open again.
    """
    if is_final(old) and not is_final(new):
        return False
    was_pending = new.status in {"pending", "requires_action"}
    return not (old.cause is Cause.REFUND and old.status == "succeeded" and was_pending)


class PaidLine(_Value):
    """A line item that was paid for."""

    id: str
    quantity: int
    total_minor: int


class Target(_Value):
    """Where a fulfillment is to come to."""

    reversed: int = 0
    """Pieces that are taken back, or not to be delivered."""
    held: bool = False
    """Whether what is not delivered has to wait."""


def recorded(
    found: StripeReversal,
    session_id: str,
    lines: Sequence[PaidLine],
    asked: Mapping[str, Mapping[str, int]],
    refunded_minor: int,
) -> Reversal:
    """What is recorded of what Stripe says: also which pieces it is about, if that can be told.

    The request that a refund was made for says so, or its metadata, or its amount; a warning or a
    dispute is about everything, unless it is for less than what is not refunded.

    Args:
        found: What Stripe says.
        session_id: Of which order.
        lines: What was paid for it.
        asked: The pieces of each request of ours, by its ID.
        refunded_minor: How much of the order is refunded, as far as refunds stand.
    """
    pieces: dict[str, int] | None = None
    problem = None
    everything = {line.id: line.quantity for line in lines}
    left_minor = sum(line.total_minor for line in lines) - refunded_minor
    if found.request_id is not None and found.request_id in asked:
        pieces = dict(asked[found.request_id])
    elif found.line_items is not None:
        try:
            pieces = read_lines(found.line_items, lines)
        except ValueError as error:
            problem = f"its metadata {LINE_ITEMS_KEY}: {error}"
    elif found.amount is None or (
        found.cause is not Cause.REFUND and found.amount.amount_minor >= left_minor
    ):
        pieces = everything
    else:
        pieces = guess_lines(found.amount.amount_minor, lines)
        if pieces is None:
            problem = "its amount fits no line item, or several"
    return Reversal(
        **found.model_dump(exclude={"line_items", "request_id"}),
        session_id=session_id,
        lines=pieces,
        problem=problem,
    )


def refunded_minor(found: Iterable[StripeReversal]) -> int:
    """How much is refunded, as far as refunds stand."""
    return sum(
        each.amount.amount_minor
        for each in found
        if each.counts and each.cause is Cause.REFUND and each.amount is not None
    )


def is_whole(reversals: Iterable[Reversal], total_minor: int) -> bool:
    """Whether all that was paid has gone back, for good as far as one knows."""
    away = sum(
        each.amount.amount_minor
        for each in reversals
        if each.counts and each.amount is not None and each.cause in _MONEY_IS_GONE
    )
    return away >= total_minor > 0


def unassigned(reversals: Iterable[Reversal], total_minor: int) -> tuple[Reversal, ...]:
    """Those of which nobody has said which pieces they are about."""
    standing = [each for each in reversals if each.counts and each.decision is not Decision.KEEP]
    if is_whole(standing, total_minor):
        return ()
    return tuple(each for each in standing if each.lines is None)


def target(
    line: PaidLine,
    policy: ReversalPolicy,
    reversals: Sequence[Reversal],
    total_minor: int,
) -> Target:
    """Where one fulfillment of a line item is to come to.

    Args:
        line: What was paid for.
        policy: That of the way it is delivered.
        reversals: All of its order.
        total_minor: What was paid for the order.
    """
    standing = [each for each in reversals if each.counts and each.decision is not Decision.KEEP]
    is_all = is_whole(standing, total_minor)
    pieces = 0
    held = False
    for each in standing:
        if each.lines is None and not is_all:
            held = True
            continue
        concerned = line.quantity if each.lines is None else each.lines.get(line.id, 0)
        if concerned == 0:
            continue
        is_decided = each.decision is Decision.REVOKE
        treatment = Treatment.REVOKE if is_decided else policy.treatment(each.cause)
        if treatment is Treatment.REVOKE:
            pieces += concerned
        held = held or treatment in {Treatment.HOLD, Treatment.REVIEW}
    return Target(reversed=min(pieces, line.quantity), held=held)


def read_lines(text: str, lines: Sequence[PaidLine]) -> dict[str, int]:
    """Reads which pieces a refund's metadata names; without a number it is all of a line item.

    Raises:
        ValueError: It cannot be read, or names what was not bought.
    """
    bought = {line.id: line.quantity for line in lines}
    named: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _PIECES.fullmatch(part)
        if match is None:
            raise ValueError("it is not of the form li_1=2, li_2")
        line_id = match["id"]
        if line_id not in bought:
            raise ValueError(f"this order has no line item {line_id}")
        named[line_id] = named.get(line_id, 0) + int(match["quantity"] or bought[line_id])
        if named[line_id] > bought[line_id]:
            raise ValueError(f"of line item {line_id} only {bought[line_id]} were bought")
    if not named:
        raise ValueError("it names no line item")
    return named


def format_lines(lines: Mapping[str, int]) -> str:
    """Writes pieces as `read_lines` reads them."""
    return ", ".join(f"{line_id}={pieces}" for line_id, pieces in sorted(lines.items()))


def guess_lines(amount_minor: int, lines: Sequence[PaidLine]) -> dict[str, int] | None:
    """The pieces that cost an amount, if only one choice of them does: some of one line item.

    A price that is divided among pieces may be rounded either way.

    Returns:
        None where several choices fit, or none does: a person has to say.
    """
    fitting = [
        {line.id: pieces}
        for line in lines
        for pieces in range(1, line.quantity + 1)
        if amount_minor
        in {
            line.total_minor * pieces // line.quantity,
            -(-line.total_minor * pieces // line.quantity),
        }
    ]
    everything = {line.id: line.quantity for line in lines}
    if len(lines) > 1 and amount_minor == sum(line.total_minor for line in lines):
        fitting.append(everything)
    return fitting[0] if len(fitting) == 1 else None
