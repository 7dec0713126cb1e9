"""Refunds: whole or in part, at once, pending, or failing later. See "The Refund object"."""

from typing import Final

from ..emulator import Emulator
from ..errors import StripeError, invalid
from ..ids import new_id, now
from ..store import Account, StripeObject
from .charges import add_balance_transaction
from .disputes import charged_back
from .fraud_warnings import end_warnings
from .methods import behavior

OUTCOMES: Final = ("succeeded", "pending", "failed")


def refund_charge(
    emulator: Emulator,
    account: Account,
    charge: StripeObject,
    *,
    amount_minor: int | None = None,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
    outcome: str | None = None,
) -> StripeObject:
    """Give back an amount in minor units, or all that is left.

    `outcome` is `succeeded`, `pending` (until `end_refund`) or `failed` (succeeds, then comes
    back); without it, the test card decides.

    Raises:
        StripeError: If the charge was not paid, is refunded or charged back, or the amount is
            more than is left.
    """
    if not charge["paid"]:
        raise invalid(f"Charge {charge['id']} has not been paid and cannot be refunded.", "charge")
    if charge["refunded"]:
        raise StripeError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if charged_back(account, charge):
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    left = charge["amount"] - charge["amount_refunded"]
    amount = left if amount_minor is None else amount_minor
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        raise invalid(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            "amount",
        )
    if outcome is not None and outcome not in OUTCOMES:
        raise invalid(f"Invalid outcome: must be one of {', '.join(OUTCOMES)}", "outcome")
    method = account.get("payment_method", charge["payment_method"])
    outcome = outcome or behavior(method).refund
    booked = add_balance_transaction(account, charge, -amount, "refund")
    refund: StripeObject = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": booked["id"],
        "charge": charge["id"],
        "created": now(),
        "currency": charge["currency"],
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        }
        if method["type"] == "card"
        else {"type": method["type"]},
        "metadata": dict(metadata or {}),
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if outcome == "pending" else "succeeded",
        "transfer_reversal": None,
    }
    account.add(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    emulator.emit(account, "refund.created", refund)
    emulator.emit(account, "charge.refunded", charge)
    if charge["refunded"]:
        end_warnings(emulator, account, charge)
    if outcome == "failed":
        end_refund(emulator, account, refund, succeeded=False)
    return refund


def end_refund(
    emulator: Emulator, account: Account, refund: StripeObject, *, succeeded: bool
) -> StripeObject:
    """The bank takes a pending refund, or sends one back, also after it had succeeded.

    Raises:
        StripeError: If the refund failed or was canceled already.
    """
    if refund["status"] in {"failed", "canceled"}:
        raise StripeError(f"This refund has already {refund['status']}.")
    previous = {"status": refund["status"]}
    if succeeded:
        refund["status"] = "succeeded"
        _tell_update(emulator, account, refund, previous)
        return refund
    booked = _give_back(account, refund)
    refund |= {
        "status": "failed",
        "failure_balance_transaction": booked["id"],
        "failure_reason": "unknown",
    }
    _tell_update(emulator, account, refund, previous)
    emulator.emit(account, "refund.failed", refund)
    return refund


def cancel_refund(emulator: Emulator, account: Account, refund: StripeObject) -> StripeObject:
    """The merchant calls a pending refund back.

    Raises:
        StripeError: If it is not pending.
    """
    if refund["status"] != "pending":
        raise StripeError(f"Only a pending refund can be canceled; it is {refund['status']}.")
    _give_back(account, refund)
    refund["status"] = "canceled"
    _tell_update(emulator, account, refund, {"status": "pending"})
    return refund


def _give_back(account: Account, refund: StripeObject) -> StripeObject:
    """Put the amount back on the charge; answers the balance transaction."""
    charge = account.get("charge", refund["charge"])
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    return add_balance_transaction(account, charge, refund["amount"], "refund_failure")


def _tell_update(
    emulator: Emulator, account: Account, refund: StripeObject, previous: StripeObject
) -> None:
    """Stripe tells of it twice: under the older name only for refunds of charges."""
    emulator.emit(account, "refund.updated", refund, previous)
    emulator.emit(account, "charge.refund.updated", refund, previous)
