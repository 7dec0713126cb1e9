"""What a customer may change on the pay page before paying."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import invalid
from ..store import Account, StripeObject
from .completion import require_open
from .discounts import find_promotion_code, set_promotion_code
from .line_items import MAX_QUANTITY, add_optional_item
from .shipping import apply_shipping_option
from .totals import compute


@dataclass(slots=True, kw_only=True)
class Choices:
    """Changes to a session.

    Attributes:
        quantities: New quantities by line item ID; 0 takes an item out.
        optional_items: Prices of optional items to put in, with quantities.
        amounts: Amounts in minor units for "customer chooses" prices, by line item ID.
        promotion_code: What the customer typed.
        shipping_option: The position of the chosen shipping option.
    """

    quantities: Mapping[str, int] = field(default_factory=dict)
    optional_items: Mapping[str, int] = field(default_factory=dict)
    amounts: Mapping[str, int] = field(default_factory=dict)
    promotion_code: str | None = None
    shipping_option: int | None = None


def choose(account: Account, session: StripeObject, choices: Choices) -> None:
    """Apply the changes and add up anew.

    Raises:
        StripeError: If the session is not open or a choice is not on offer.
    """
    require_open(session)
    for item in list(session["_line_items"]):
        if item["id"] in choices.quantities:
            _set_quantity(session, item, choices.quantities[item["id"]])
        if item["id"] in choices.amounts:
            _set_amount(account, item, choices.amounts[item["id"]])
    offered = {option["price"] for option in session["optional_items"] or ()}
    present = {item["price"] for item in session["_line_items"]}
    for price_id, quantity in choices.optional_items.items():
        if price_id not in offered:
            raise invalid("This item is not on offer", "optional_items")
        if price_id not in present:
            add_optional_item(account, session, price_id, quantity)
    if choices.promotion_code:
        if not session["allow_promotion_codes"]:
            raise invalid("This session takes no promotion codes", "promotion_code")
        set_promotion_code(account, session, find_promotion_code(account, choices.promotion_code))
    if choices.shipping_option is not None:
        apply_shipping_option(account, session, choices.shipping_option)
    compute(account, session)


def _set_quantity(session: StripeObject, item: StripeObject, quantity: int) -> None:
    if quantity == item["quantity"]:
        return
    optional = any(o["price"] == item["price"] for o in session["optional_items"] or ())
    if quantity == 0 and optional:
        session["_line_items"].remove(item)
        return
    bounds = item["adjustable_quantity"]
    if bounds is None:
        raise invalid("The quantity of this item is fixed", "quantity")
    maximum = bounds["maximum"] or MAX_QUANTITY
    if not bounds["minimum"] <= quantity <= maximum:
        raise invalid(f"The quantity must be between {bounds['minimum']} and {maximum}", "quantity")
    if quantity == 0:
        if len(session["_line_items"]) == 1:
            raise invalid("The last item cannot be taken out", "quantity")
        session["_line_items"].remove(item)
        return
    item["quantity"] = quantity


def _set_amount(account: Account, item: StripeObject, amount_minor: int) -> None:
    bounds = account.get("price", item["price"])["custom_unit_amount"]
    if bounds is None:
        raise invalid("The amount of this item is fixed", "amount")
    minimum = bounds["minimum"] or 0
    if amount_minor < minimum or (bounds["maximum"] and amount_minor > bounds["maximum"]):
        raise invalid("This amount is out of bounds", "amount")
    item["_chosen_amount"] = amount_minor
