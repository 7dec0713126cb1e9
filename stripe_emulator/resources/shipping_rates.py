"""Shipping rates. See "The Shipping Rate object" in Stripe's API reference."""

from ..errors import missing_parameter
from ..ids import new_id, now
from ..operations import Call, operation
from ..paging import in_range, page
from ..params import Params
from ..store import StripeObject
from .common import metadata, update


def add_shipping_rate(call: Call, params: Params) -> StripeObject:
    """Make and keep a rate, also from the inline `shipping_rate_data` of sessions.

    Raises:
        StripeError: If there is no amount.
    """
    if "fixed_amount" not in params:
        raise missing_parameter("fixed_amount")
    amount = params["fixed_amount"]
    return call.account.add(
        {
            "id": new_id("shr"),
            "object": "shipping_rate",
            "active": True,
            "created": now(),
            "delivery_estimate": params.get("delivery_estimate"),
            "display_name": params["display_name"],
            "fixed_amount": {
                "amount": amount["amount"],
                "currency": amount["currency"].lower(),
            },
            "livemode": False,
            "metadata": metadata(params.get("metadata")),
            "tax_behavior": params.get("tax_behavior", "unspecified"),
            "tax_code": params.get("tax_code"),
            "type": "fixed_amount",
        }
    )


@operation("POST /v1/shipping_rates")
def create(call: Call) -> StripeObject:
    """Create a shipping rate."""
    return add_shipping_rate(call, call.params)


@operation("GET /v1/shipping_rates/{shipping_rate_token}")
def retrieve(call: Call) -> StripeObject:
    """The shipping rate of this ID."""
    return call.target("shipping_rate", "shipping_rate_token")


@operation("POST /v1/shipping_rates/{shipping_rate_token}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent."""
    rate = retrieve(call)
    update(rate, call.params, ("active", "tax_behavior"))
    return rate


@operation("GET /v1/shipping_rates")
def list_all(call: Call) -> StripeObject:
    """Shipping rates, the newest first."""
    params = call.params
    found = (
        rate
        for rate in call.account.newest_first("shipping_rate")
        if in_range(rate["created"], params.get("created"))
        and ("active" not in params or rate["active"] is params["active"])
        and ("currency" not in params or rate["fixed_amount"]["currency"] == params["currency"])
    )
    return page(call.account, found, params, "/v1/shipping_rates")
