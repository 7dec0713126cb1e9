"""Payment intents: made, confirmed, and ended. See "The PaymentIntent object"."""

from typing import Any, Final

from ..clock import current_clock
from ..emulator import Emulator
from ..errors import StripeError
from ..ids import new_id, now, random_text
from ..store import Account, StripeObject
from .charges import add_balance_transaction, decline_message, new_charge
from .disputes import open_dispute
from .fraud_warnings import warn_of_fraud
from .methods import (
    ACCOUNT_OUTCOMES,
    DELAYED_TYPES,
    TestCard,
    behavior,
    full_address,
    new_bank_debit,
)

OUTCOME_DELAY_S: Final = 3.0
"""So long a bank debit with a telling test account takes; divided by the time scale."""


def new_intent(account: Account, *, amount: int, currency: str, **fields: Any) -> StripeObject:  # noqa: ANN401
    """An intent over an amount in minor units that waits for a payment method."""
    intent_id = new_id("pi")
    intent: StripeObject = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{random_text(24)}",
        "confirmation_method": "automatic",
        "created": now(),
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    return account.add(intent | fields)


def confirm(
    emulator: Emulator, account: Account, intent: StripeObject, method: StripeObject
) -> StripeObject:
    """Take the payment: at once by card, or begin a bank debit.

    Raises:
        StripeError: A `card_error` with status 402 when the bank declines.
    """
    card = behavior(method)
    intent["payment_method"] = method["id"]
    if card.decline is not None:
        raise _decline(emulator, account, intent, method, card.decline)
    if method["type"] in DELAYED_TYPES:
        charge = new_charge(account, intent, method, card, "pending")
        intent |= {"status": "processing", "latest_charge": charge["id"]}
        emulator.emit(account, "charge.pending", charge)
        emulator.emit(account, "payment_intent.processing", intent)
        outcome = ACCOUNT_OUTCOMES.get(method["_number"])
        if outcome is not None:
            due = current_clock.get().time() + OUTCOME_DELAY_S / emulator.config.time_scale
            emulator.schedule.add(due, f"payment_{outcome}", account.id, charge["id"])
        return intent
    if card.authenticate:
        return _require_action(emulator, account, intent)
    charge = new_charge(account, intent, method, card, "succeeded")
    if intent["capture_method"] == "manual":
        return _authorize(emulator, account, intent, charge)
    _succeed(emulator, account, intent, charge)
    if card.fraud_type is not None:
        warn_of_fraud(emulator, account, charge, fraud_type=card.fraud_type)
    if card.dispute is not None:
        open_dispute(emulator, account, charge, reason=card.dispute, inquiry=card.inquiry)
    return intent


def _require_action(emulator: Emulator, account: Account, intent: StripeObject) -> StripeObject:
    intent |= {
        "status": "requires_action",
        "next_action": {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect"},
        },
    }
    emulator.emit(account, "payment_intent.requires_action", intent)
    return intent


def _authorize(
    emulator: Emulator, account: Account, intent: StripeObject, charge: StripeObject
) -> StripeObject:
    charge |= {"captured": False, "amount_captured": 0}
    intent |= {
        "status": "requires_capture",
        "amount_capturable": intent["amount"],
        "latest_charge": charge["id"],
    }
    emulator.emit(account, "charge.succeeded", charge)
    emulator.emit(account, "payment_intent.amount_capturable_updated", intent)
    return intent


def capture(
    emulator: Emulator, account: Account, intent: StripeObject, amount_minor: int
) -> StripeObject:
    """Take an authorized amount in minor units; the rest is let go."""
    charge = account.get("charge", intent["latest_charge"])
    booked = add_balance_transaction(account, charge, amount_minor, "charge")
    charge |= {
        "captured": True,
        "amount_captured": amount_minor,
        "balance_transaction": booked["id"],
    }
    intent |= {"status": "succeeded", "amount_capturable": 0, "amount_received": amount_minor}
    emulator.emit(account, "charge.captured", charge)
    emulator.emit(account, "payment_intent.succeeded", intent)
    return intent


def cancel(
    emulator: Emulator, account: Account, intent: StripeObject, reason: str | None
) -> StripeObject:
    """Give an unpaid intent up."""
    intent |= {
        "status": "canceled",
        "canceled_at": now(),
        "cancellation_reason": reason,
        "amount_capturable": 0,
        "next_action": None,
    }
    emulator.emit(account, "payment_intent.canceled", intent)
    return intent


def try_again(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The customer names another bank account after a debit came back.

    Raises:
        StripeError: If no debit of this intent came back.
    """
    debits = (
        charge
        for charge in account.newest_first("charge")
        if charge["payment_intent"] == intent["id"]
        and charge["payment_method_details"]["type"] in DELAYED_TYPES
    )
    charge = next(debits, None)
    if charge is None or intent["status"] != "requires_payment_method":
        raise StripeError(
            f"This PaymentIntent's status is {intent['status']}; only one whose bank debit came"
            " back can be tried again.",
            code="payment_intent_unexpected_state",
        )
    kind = charge["payment_method_details"]["type"]
    method = account.add(new_bank_debit(kind, charge["billing_details"]))
    confirm(emulator, account, intent, method)


def settle(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The bank debit went through.

    Raises:
        StripeError: If the intent is not waiting for its bank.
    """
    charge = _processing_charge(account, intent)
    charge |= {"status": "succeeded", "paid": True, "amount_captured": charge["amount"]}
    _succeed(emulator, account, intent, charge)


def fail(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The bank debit came back.

    Raises:
        StripeError: If the intent is not waiting for its bank.
    """
    charge = _processing_charge(account, intent)
    message = "The customer's bank account could not be debited."
    charge |= {
        "status": "failed",
        "captured": False,
        "failure_code": "payment_method_customer_decline",
        "failure_message": message,
    }
    method = account.get("payment_method", charge["payment_method"])
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": {
            "code": "payment_method_customer_decline",
            "message": message,
            "payment_method": public(method),
            "type": "invalid_request_error",
        },
    }
    emulator.emit(account, "charge.failed", charge)
    emulator.emit(account, "payment_intent.payment_failed", intent)


def public(obj: StripeObject) -> StripeObject:
    """A payment method or intent as it is embedded in errors."""
    return {key: value for key, value in obj.items() if key[0] != "_"}


def _succeed(
    emulator: Emulator, account: Account, intent: StripeObject, charge: StripeObject
) -> None:
    booked = add_balance_transaction(account, charge, charge["amount"], "charge")
    charge["balance_transaction"] = booked["id"]
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "next_action": None,
        "latest_charge": charge["id"],
        "last_payment_error": None,
    }
    emulator.emit(account, "charge.succeeded", charge)
    emulator.emit(account, "payment_intent.succeeded", intent)


def _decline(
    emulator: Emulator, account: Account, intent: StripeObject, method: StripeObject, code: str
) -> StripeError:
    card: TestCard = behavior(method)
    charge = new_charge(account, intent, method, card, "failed")
    error = StripeError(
        decline_message(code),
        status=402,
        error_type="card_error",
        code="card_declined",
        decline_code=code,
        charge=charge["id"],
        payment_method=public(method),
    )
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "latest_charge": charge["id"],
        "last_payment_error": dict(error.error),
    }
    emulator.emit(account, "charge.failed", charge)
    emulator.emit(account, "payment_intent.payment_failed", intent)
    error.error["payment_intent"] = public(intent)
    return error


def _processing_charge(account: Account, intent: StripeObject) -> StripeObject:
    if intent["status"] != "processing":
        raise StripeError(
            f"This PaymentIntent's status is {intent['status']}; only one that is processing"
            " can be settled or failed.",
            code="payment_intent_unexpected_state",
        )
    return account.get("charge", intent["latest_charge"])


def shipping_details(sent: StripeObject | None) -> StripeObject | None:
    """Shipping details of an intent or charge, with every member."""
    if not sent:
        return None
    return {
        "address": full_address(sent.get("address")),
        "carrier": sent.get("carrier"),
        "name": sent.get("name"),
        "phone": sent.get("phone"),
        "tracking_number": sent.get("tracking_number"),
    }
