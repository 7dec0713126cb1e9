"""Shipping options of a session. See "Charge for shipping" in Stripe's documentation."""

from typing import Final

from ..errors import invalid, missing_parameter
from ..operations import Call
from ..params import Params
from ..resources.shipping_rates import add_shipping_rate
from ..store import Account, StripeObject

MAX_OPTIONS: Final = 5


def new_options(call: Call, sent: list[Params]) -> list[StripeObject]:
    """The options offered, with rates made from `shipping_rate_data`.

    Raises:
        StripeError: If there are too many or a rate is unknown.
    """
    if len(sent) > MAX_OPTIONS:
        raise invalid(f"At most {MAX_OPTIONS} shipping options are allowed.", "shipping_options")
    options = []
    for index, option in enumerate(sent):
        where = f"shipping_options[{index}]"
        if "shipping_rate_data" in option:
            rate = add_shipping_rate(call, option["shipping_rate_data"])
        elif "shipping_rate" in option:
            rate = call.account.get(
                "shipping_rate", option["shipping_rate"], f"{where}[shipping_rate]"
            )
        else:
            raise missing_parameter(f"{where}[shipping_rate]")
        amount = rate["fixed_amount"]["amount"]
        options.append({"shipping_amount": amount, "shipping_rate": rate["id"]})
    return options


def apply_shipping_option(account: Account, session: StripeObject, index: int) -> None:
    """Choose an option; sessions without options have no shipping cost.

    Raises:
        StripeError: If there is no such option.
    """
    options = session["shipping_options"]
    if not options:
        return
    if not 0 <= index < len(options):
        raise invalid("No such shipping option", "shipping_option")
    chosen = options[index]
    account.get("shipping_rate", chosen["shipping_rate"])
    session["_shipping_amount"] = chosen["shipping_amount"]
    session["shipping_cost"] = {
        "amount_subtotal": chosen["shipping_amount"],
        "amount_tax": 0,
        "amount_total": chosen["shipping_amount"],
        "shipping_rate": chosen["shipping_rate"],
    }
