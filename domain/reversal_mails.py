"""Which mail a customer gets about a refund or a dispute.

An inquiry or a fraud warning is the merchant's business and the bank's: nobody is told of it.
"""

from collections.abc import Set
from enum import StrEnum

from domain.reversals import Cause, Decision, Reversal


class ReversalMail(StrEnum):
    """Names of mails: folders in `emails/`."""

    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    DISPUTED = "disputed"
    """The bank has taken the money for as long as it decides."""
    DISPUTE_LOST = "dispute_lost"
    RESTORED = "restored"
    """The dispute is over, and the order stands."""
    RETURN_NEEDED = "return_needed"
    RETURN_RECEIVED = "return_received"


def mail_about(reversal: Reversal, told: Set[str], *, takes: bool) -> ReversalMail | None:
    """The mail that tells how a reversal stands, of those that were not sent yet.

    Args:
        reversal: As it stands now.
        told: The names of the mails about it that the customer has.
        takes: Whether it takes something back, or holds it.
    """
    match reversal.cause:
        case Cause.REFUND:
            name = _about_refund(reversal, told)
        case Cause.DISPUTE_OPENED | Cause.DISPUTE_LOST:
            name = _about_dispute(reversal, told, takes=takes)
        case Cause.INQUIRY | Cause.FRAUD_WARNING:
            name = None
    return None if name in told else name


def _about_refund(reversal: Reversal, told: Set[str]) -> ReversalMail | None:
    if reversal.counts:
        return ReversalMail.REFUNDED
    return ReversalMail.REFUND_FAILED if ReversalMail.REFUNDED in told else None


def _about_dispute(reversal: Reversal, told: Set[str], *, takes: bool) -> ReversalMail | None:
    if not reversal.counts or reversal.decision is Decision.KEEP:
        return (
            ReversalMail.RESTORED
            if told & {ReversalMail.DISPUTED, ReversalMail.DISPUTE_LOST}
            else None
        )
    if not takes:
        return None
    is_lost = reversal.cause is Cause.DISPUTE_LOST
    return ReversalMail.DISPUTE_LOST if is_lost else ReversalMail.DISPUTED
