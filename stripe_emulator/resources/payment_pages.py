"""Payment pages: what `stripe trigger` confirms instead of a customer.

Stripe does not document them. The shapes of the parameters are those that the CLI sends.
"""

from ..checkout.completion import Buyer, complete
from ..errors import invalid
from ..operations import Call, operation
from ..store import StripeObject
from .payment_methods import named

_EXPAND = {"array": "string"}


def _page(session: StripeObject) -> StripeObject:
    """The session, with what the CLI reads from a payment page."""
    return {
        **session,
        "eid": session["id"],
        "session_id": session["id"],
        "line_item_group": {
            "currency": session["currency"],
            "due": session["amount_total"],
            "subtotal": session["amount_subtotal"],
            "total": session["amount_total"],
        },
    }


@operation(
    "GET /v1/payment_pages/{session}",
    {"object": {"expand": _EXPAND, "key": "string", "eid": "string"}},
)
def retrieve(call: Call) -> StripeObject:
    """The page of a session."""
    return _page(call.target("checkout.session", "session"))


@operation(
    "POST /v1/payment_pages/{session}/confirm",
    {
        "object": {
            "expand": _EXPAND,
            "expected_amount": "integer",
            "expected_payment_method_type": "string",
            "key": "string",
            "eid": "string",
            "payment_method": "string",
            "return_url": "string",
        },
        "required": ["payment_method"],
    },
)
def confirm(call: Call) -> StripeObject:
    """Pay the session with a payment method."""
    session = call.target("checkout.session", "session")
    expected = call.params.get("expected_amount", session["amount_total"])
    if expected != session["amount_total"]:
        raise invalid(
            f"The expected amount {expected} is not the session's {session['amount_total']}",
            "expected_amount",
        )
    method = named(call.account, call.params["payment_method"])
    billing = method["billing_details"]
    buyer = Buyer(
        email=billing["email"] or "stripe@example.com",
        name=billing["name"],
        address=billing["address"],
        shipping_name=billing["name"],
        shipping_address=billing["address"],
    )
    complete(call.emulator, call.account, session, method, buyer)
    return _page(session)
