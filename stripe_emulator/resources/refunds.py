"""Refunds over the API. See "Refunds" in Stripe's API reference."""

from ..errors import StripeError, invalid
from ..operations import Call, operation
from ..payments.refunds import cancel_refund, refund_charge
from ..store import StripeObject
from .common import metadata, update


def _charge(call: Call) -> StripeObject:
    if "charge" in call.params:
        return call.account.get("charge", call.params["charge"], "charge")
    if "payment_intent" not in call.params:
        raise invalid("One of the following params should be provided: payment_intent or charge.")
    intent = call.account.get("payment_intent", call.params["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None:
        raise StripeError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        )
    return call.account.get("charge", intent["latest_charge"])


@operation("POST /v1/refunds")
def create(call: Call) -> StripeObject:
    """Give money back, in whole or in part."""
    return refund_charge(
        call.emulator,
        call.account,
        _charge(call),
        amount_minor=call.params.get("amount"),
        reason=call.params.get("reason"),
        metadata=metadata(call.params.get("metadata")),
    )


@operation("POST /v1/refunds/{refund}")
def modify(call: Call) -> StripeObject:
    """Change the refund's metadata."""
    refund = call.target("refund", "refund")
    previous = update(refund, call.params, ())
    call.emulator.emit(call.account, "refund.updated", refund, previous)
    return refund


@operation("POST /v1/refunds/{refund}/cancel")
def cancel(call: Call) -> StripeObject:
    """Call a pending refund back."""
    refund = call.target("refund", "refund")
    return cancel_refund(call.emulator, call.account, refund)
