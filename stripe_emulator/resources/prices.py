"""Prices. See "The Price object" in Stripe's API reference."""

from decimal import Decimal
from typing import Final

from ..errors import invalid, missing_parameter, require_one_of
from ..expand import includable
from ..ids import new_id, now
from ..money import known_currency
from ..operations import Call, operation
from ..paging import in_range, page
from ..params import Params
from ..store import Account, StripeObject
from .common import metadata, require, update
from .products import new_product

MAX_AMOUNT_MINOR: Final = 99_999_999


@includable("price", "currency_options")
def _currency_options(_account: Account, price: StripeObject) -> StripeObject:
    return {
        price["currency"]: {
            "custom_unit_amount": price["custom_unit_amount"],
            "tax_behavior": price["tax_behavior"],
            "unit_amount": price["unit_amount"],
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    }


def _amount(params: Params) -> tuple[int | None, str | None]:
    """Amount in minor units as a whole number, where it is one, and as a decimal."""
    require_one_of(params, "unit_amount", "unit_amount_decimal")
    if "unit_amount" in params:
        amount: int = params["unit_amount"]
        if not 0 <= amount <= MAX_AMOUNT_MINOR:
            raise invalid(
                f"Invalid non-negative integer: must be at most {MAX_AMOUNT_MINOR}",
                "unit_amount",
                "parameter_invalid_integer",
            )
        return amount, str(amount)
    if "unit_amount_decimal" in params:
        exact = Decimal(params["unit_amount_decimal"])
        return (int(exact) if exact == int(exact) else None), str(exact)
    if params.get("custom_unit_amount", {}).get("enabled"):
        return None, None
    raise missing_parameter("unit_amount")


def _recurring(params: Params) -> StripeObject | None:
    sent = params.get("recurring")
    if not sent:
        return None
    return {
        "interval": sent["interval"],
        "interval_count": sent.get("interval_count", 1),
        "meter": sent.get("meter"),
        "trial_period_days": sent.get("trial_period_days"),
        "usage_type": sent.get("usage_type", "licensed"),
    }


def _custom_amount(params: Params) -> StripeObject | None:
    sent = params.get("custom_unit_amount")
    if not sent or not sent["enabled"]:
        return None
    return {name: sent.get(name) for name in ("maximum", "minimum", "preset")}


def new_price(product_id: str, params: Params) -> StripeObject:
    """A price of a product from the parameters of its creation.

    Raises:
        StripeError: If there is no amount, or one out of bounds.
    """
    amount, exact = _amount(params)
    recurring = _recurring(params)
    return {
        "id": new_id("price"),
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": params.get("billing_scheme", "per_unit"),
        "created": now(),
        "currency": known_currency(params["currency"]),
        "custom_unit_amount": _custom_amount(params),
        "livemode": False,
        "lookup_key": params.get("lookup_key"),
        "metadata": metadata(params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product_id,
        "recurring": recurring,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": params.get("transform_quantity"),
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": exact,
    }


def add_price(call: Call, params: Params) -> StripeObject:
    """Make and keep a price, also from the inline `price_data` of other objects.

    Raises:
        StripeError: If there is no amount, no product, or an unknown one.
    """
    if "product_data" in params:
        product = new_product(params["product_data"])
        price = new_price(product["id"], params)
        call.account.add(product)
        call.emulator.emit(call.account, "product.created", product)
    else:
        found = require(call.account, "product", params, "product")
        if found is None:
            raise missing_parameter("product")
        price = new_price(found["id"], params)
    call.account.add(price)
    call.emulator.emit(call.account, "price.created", price)
    return price


@operation("POST /v1/prices")
def create(call: Call) -> StripeObject:
    """Create a price, and its product when `product_data` asks for one."""
    for name in ("tiers", "currency_options"):
        if name in call.params:
            raise invalid(f"This stand-in has no prices with `{name}`", name)
    return add_price(call, call.params)


@operation("GET /v1/prices/{price}")
def retrieve(call: Call) -> StripeObject:
    """The price of this ID."""
    return call.target("price", "price")


@operation("POST /v1/prices/{price}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent; an amount never changes."""
    price = retrieve(call)
    previous = update(price, call.params, ("active", "nickname", "lookup_key", "tax_behavior"))
    call.emulator.emit(call.account, "price.updated", price, previous)
    return price


@operation("GET /v1/prices")
def list_all(call: Call) -> StripeObject:
    """Prices, the newest first."""
    params = call.params
    found = (
        price
        for price in call.account.newest_first("price")
        if in_range(price["created"], params.get("created"))
        and all(
            price[n] == params[n] for n in ("active", "currency", "product", "type") if n in params
        )
        and ("lookup_keys" not in params or price["lookup_key"] in params["lookup_keys"])
    )
    return page(call.account, found, params, "/v1/prices")
