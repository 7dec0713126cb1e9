"""Payment intents over the API. See "Payment Intents" in Stripe's API reference."""

from ..checkout import completion
from ..checkout.sessions import default_payment_methods
from ..errors import StripeError, invalid
from ..money import MINIMUM_CHARGE, amount_too_small, display, known_currency
from ..operations import Call, operation
from ..params import Params
from ..payments import intents
from ..store import StripeObject
from .common import metadata, require, update
from .payment_methods import from_params, named


def _method(call: Call, params: Params) -> StripeObject | None:
    if "payment_method" in params:
        return named(call.account, params["payment_method"])
    if "payment_method_data" in params:
        return call.account.add(from_params(params["payment_method_data"]))
    return None


def _check_amount(amount_minor: int, currency: str) -> None:
    if amount_minor < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount_too_small(amount_minor, currency):
        least = display(MINIMUM_CHARGE[currency], currency)
        raise invalid(f"Amount must be at least {least} {currency}", "amount", "amount_too_small")


@operation("POST /v1/payment_intents")
def create(call: Call) -> StripeObject:
    """Create an intent, and confirm it when `confirm` says so."""
    params = call.params
    currency = known_currency(params["currency"])
    _check_amount(params["amount"], currency)
    customer = require(call.account, "customer", params, "customer")
    method = _method(call, params)
    automatic = params.get("automatic_payment_methods")
    intent = intents.new_intent(
        call.account,
        amount=params["amount"],
        currency=currency,
        automatic_payment_methods={"allow_redirects": "always", **automatic} if automatic else None,
        capture_method=params.get("capture_method", "automatic_async"),
        confirmation_method=params.get("confirmation_method", "automatic"),
        customer=customer["id"] if customer else None,
        description=params.get("description"),
        metadata=metadata(params.get("metadata")),
        payment_method=method["id"] if method else None,
        payment_method_types=params.get("allowed_payment_method_types")
        or default_payment_methods(currency, "payment"),
        receipt_email=params.get("receipt_email"),
        setup_future_usage=params.get("setup_future_usage"),
        shipping=intents.shipping_details(params.get("shipping")),
        statement_descriptor=params.get("statement_descriptor"),
        statement_descriptor_suffix=params.get("statement_descriptor_suffix"),
        status="requires_confirmation" if method else "requires_payment_method",
        transfer_group=params.get("transfer_group"),
    )
    call.emulator.emit(call.account, "payment_intent.created", intent)
    if params.get("confirm"):
        if method is None:
            raise invalid("You cannot confirm this PaymentIntent without a payment method.")
        intents.confirm(call.emulator, call.account, intent, method)
    return intent


def _retrieve(call: Call) -> StripeObject:
    return call.target("payment_intent", "intent")


def _require_status(intent: StripeObject, *allowed: str) -> None:
    if intent["status"] == "succeeded":
        raise StripeError(
            "You cannot do this to the PaymentIntent because it has already succeeded after being"
            " previously confirmed.",
            code="payment_intent_unexpected_state",
            payment_intent=intents.public(intent),
        )
    if intent["status"] not in allowed:
        raise StripeError(
            f"This PaymentIntent's status must be {' or '.join(allowed)}, but it is"
            f" {intent['status']}.",
            code="payment_intent_unexpected_state",
        )


@operation("POST /v1/payment_intents/{intent}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent, while the intent is not confirmed."""
    intent = _retrieve(call)
    fields = ("amount", "currency", "customer", "description", "receipt_email")
    update(intent, call.params, (*fields, "setup_future_usage", "transfer_group"))
    if "shipping" in call.params:
        intent["shipping"] = intents.shipping_details(call.params["shipping"] or None)
    method = _method(call, call.params)
    if method is not None:
        _require_status(intent, "requires_payment_method", "requires_confirmation")
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return intent


@operation("POST /v1/payment_intents/{intent}/confirm")
def confirm(call: Call) -> StripeObject:
    """Take the payment."""
    intent = _retrieve(call)
    _require_status(intent, "requires_payment_method", "requires_confirmation", "requires_action")
    method = _method(call, call.params)
    if method is None:
        if intent["payment_method"] is None:
            raise invalid("You cannot confirm this PaymentIntent without a payment method.")
        method = call.account.get("payment_method", intent["payment_method"])
    if "shipping" in call.params:
        intent["shipping"] = intents.shipping_details(call.params["shipping"] or None)
    return completion.confirm(call.emulator, call.account, intent, method)


@operation("POST /v1/payment_intents/{intent}/capture")
def capture(call: Call) -> StripeObject:
    """Take what was authorized, or a part of it."""
    intent = _retrieve(call)
    _require_status(intent, "requires_capture")
    amount: int = call.params.get("amount_to_capture") or intent["amount_capturable"]
    if not 1 <= amount <= intent["amount_capturable"]:
        raise invalid("This amount was not authorized.", "amount_to_capture")
    return intents.capture(call.emulator, call.account, intent, amount)


@operation("POST /v1/payment_intents/{intent}/cancel")
def cancel(call: Call) -> StripeObject:
    """Give an unpaid intent up."""
    intent = _retrieve(call)
    if intent["status"] in {"succeeded", "processing", "canceled"}:
        raise StripeError(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    reason = call.params.get("cancellation_reason")
    return intents.cancel(call.emulator, call.account, intent, reason)
