"""Disputes: opened by the customer's bank, won or lost. See "The Dispute object"."""

from typing import Final

from ..emulator import Emulator
from ..errors import StripeError, invalid
from ..ids import new_id, now
from ..store import Account, StripeObject
from .charges import add_balance_transaction
from .fraud_warnings import end_warnings

EVIDENCE_TIME_S: Final = 7 * 24 * 3600
_EVIDENCE_FIELDS: Final = (
    "access_activity_log", "billing_address", "cancellation_policy",
    "cancellation_policy_disclosure", "cancellation_rebuttal", "customer_communication",
    "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature",
    "duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id",
    "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address",
    "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number",
    "uncategorized_file", "uncategorized_text",
)  # fmt: skip


def open_dispute(
    emulator: Emulator,
    account: Account,
    charge: StripeObject,
    *,
    reason: str,
    inquiry: bool,
    amount_minor: int | None = None,
) -> StripeObject:
    """The customer's bank takes the money back, or, for an inquiry, only asks.

    It is about an amount in minor units, or all that is not refunded.

    Raises:
        StripeError: If the charge was not paid or is disputed already, or the amount is more
            than is left.
    """
    if not charge["paid"] or charge["disputed"]:
        raise StripeError("Only a paid charge without a dispute can be disputed.")
    left = charge["amount"] - charge["amount_refunded"]
    amount = left if amount_minor is None else amount_minor
    if not 1 <= amount <= left:
        raise invalid(f"Invalid amount: must be between 1 and {left}", "amount")
    dispute: StripeObject = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(_EVIDENCE_FIELDS) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now() + EVIDENCE_TIME_S,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    account.add(dispute)
    charge["disputed"] = True
    if not inquiry:
        _book(account, dispute, -dispute["amount"])
    emulator.emit(account, "charge.dispute.created", dispute)
    if not inquiry:
        emulator.emit(account, "charge.dispute.funds_withdrawn", dispute)
    end_warnings(emulator, account, charge)
    return dispute


def answer_dispute(
    emulator: Emulator,
    account: Account,
    dispute: StripeObject,
    evidence: dict[str, str | None],
    *,
    submit: bool,
) -> StripeObject:
    """Take evidence; submitted, the test words in `uncategorized_text` decide the dispute.

    Raises:
        StripeError: If the dispute is closed already.
    """
    _require_undecided(dispute)
    dispute["evidence"] |= evidence
    dispute["evidence_details"]["has_evidence"] = True
    emulator.emit(account, "charge.dispute.updated", dispute)
    if not submit:
        return dispute
    dispute["evidence_details"]["submission_count"] += 1
    dispute["evidence_details"]["submission_method"] = "manual"
    words = dispute["evidence"]["uncategorized_text"]
    if words in {"winning_evidence", "losing_evidence"}:
        return close_dispute(emulator, account, dispute, won=words == "winning_evidence")
    warned = dispute["status"].startswith("warning_")
    dispute["status"] = "warning_under_review" if warned else "under_review"
    return dispute


def _require_undecided(dispute: StripeObject) -> None:
    if dispute["status"] in {"won", "lost", "warning_closed"}:
        raise StripeError("This dispute is already closed.")


def charged_back(account: Account, charge: StripeObject) -> bool:
    """Whether a charge's money is away by a dispute: opened or lost, and not an inquiry."""
    return any(
        dispute["charge"] == charge["id"]
        and dispute["status"] != "won"
        and not dispute["status"].startswith("warning_")
        for dispute in account.newest_first("dispute")
    )


def close_dispute(
    emulator: Emulator, account: Account, dispute: StripeObject, *, won: bool
) -> StripeObject:
    """The bank decides; winning gives the money back.

    Raises:
        StripeError: If the dispute is closed already.
    """
    _require_undecided(dispute)
    if dispute["status"].startswith("warning_"):
        dispute["status"] = "warning_closed"
    else:
        dispute["status"] = "won" if won else "lost"
        dispute["is_charge_refundable"] = won
    emulator.emit(account, "charge.dispute.closed", dispute)
    if dispute["status"] == "won":
        _book(account, dispute, dispute["amount"])
        emulator.emit(account, "charge.dispute.funds_reinstated", dispute)
    return dispute


def _book(account: Account, dispute: StripeObject, amount_minor: int) -> None:
    booked = add_balance_transaction(account, dispute, amount_minor, "adjustment")
    dispute["balance_transactions"].append(booked)
