"""The items of sessions and payment links. See "The Line Item object"."""

from typing import Any, Final

from ..errors import invalid, missing_parameter
from ..ids import new_id
from ..operations import Call
from ..paging import page
from ..params import Params
from ..resources.common import metadata
from ..resources.prices import add_price
from ..store import Account, StripeObject

MAX_LINE_ITEMS: Final = 100
MAX_QUANTITY: Final = 999_999
_ADJUSTABLE_MAXIMUM: Final = 99


def _price(call: Call, item: Params, where: str) -> StripeObject:
    if "price_data" in item:
        return add_price(call, item["price_data"])
    if "price" not in item:
        raise missing_parameter(f"{where}[price]")
    price = call.account.get("price", item["price"], f"{where}[price]")
    if not price["active"]:
        raise invalid(
            "The price specified is inactive. This field only accepts active prices.",
            f"{where}[price]",
        )
    return price


def adjustable(sent: dict[str, Any] | None) -> StripeObject | None:
    """The bounds within which the customer may change a quantity."""
    if not sent or not sent["enabled"]:
        return None
    return {
        "enabled": True,
        "maximum": sent.get("maximum", _ADJUSTABLE_MAXIMUM),
        "minimum": sent.get("minimum", 0),
    }


def new_items(call: Call, sent: list[Params]) -> list[StripeObject]:
    """Items in one currency, with prices made from `price_data`; amounts are still to come.

    Raises:
        StripeError: If there are too many, a price is unknown or inactive, a quantity is not
            positive, or the currencies differ.
    """
    if len(sent) > MAX_LINE_ITEMS:
        raise invalid(f"Too many line items: at most {MAX_LINE_ITEMS}", "line_items")
    items = []
    for index, item in enumerate(sent):
        where = f"line_items[{index}]"
        price = _price(call, item, where)
        if "quantity" not in item:
            raise missing_parameter(f"{where}[quantity]")
        quantity = item["quantity"]
        if not 1 <= quantity <= MAX_QUANTITY:
            raise invalid("The quantity must be at least 1.", f"{where}[quantity]")
        items.append(_item(call.account, price, quantity, item))
    if len({item["currency"] for item in items}) > 1:
        raise invalid(
            "The price specified only supports one currency; all line items must have the same"
            " currency.",
            "line_items",
        )
    return items


def _item(account: Account, price: StripeObject, quantity: int, sent: Params) -> StripeObject:
    custom = price["custom_unit_amount"] or {}
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": adjustable(sent.get("adjustable_quantity")),
        "amount_discount": 0,
        "amount_subtotal": 0,
        "amount_tax": 0,
        "amount_total": 0,
        "currency": price["currency"],
        "description": account.get("product", price["product"])["name"],
        "metadata": metadata(sent.get("metadata")),
        "price": price["id"],
        "quantity": quantity,
        "_chosen_amount": custom.get("preset"),
    }


def add_optional_item(
    account: Account, session: StripeObject, price_id: str, quantity: int
) -> None:
    """Put an optional item that the customer chose among the line items."""
    price = account.get("price", price_id)
    session["_line_items"].append(_item(account, price, quantity, {}))


def with_prices(account: Account, owner: StripeObject) -> list[StripeObject]:
    """The items of a session or link with their prices as objects, as they are answered."""
    return [
        {**item, "price": account.get("price", item["price"]), "_owner": owner}
        for item in owner["_line_items"]
    ]


def list_page(call: Call, owner: StripeObject, url: str) -> StripeObject:
    """The page of an owner's line items that the parameters ask for."""
    return page(call.account, with_prices(call.account, owner), call.params, url)
