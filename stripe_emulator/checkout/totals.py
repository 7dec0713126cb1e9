"""Line items and what they add up to, in minor units.

Discounts are spread over the items in proportion. Automatic tax is a stub: one rate for
everything, on top of the price unless its `tax_behavior` is `inclusive`.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from ..store import Account, StripeObject

STUB_TAX_PERCENT: Final = 10


def _subtotal(price: StripeObject, quantity: int, chosen_amount: int | None) -> int:
    if price["unit_amount_decimal"] is None:
        return chosen_amount or 0
    exact = Decimal(price["unit_amount_decimal"]) * quantity
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def _spread(total: int, weights: list[int]) -> list[int]:
    """Shares of a total in proportion to the weights; they add up to the total."""
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    shares = [total * weight // whole for weight in weights]
    for index in range(total - sum(shares)):
        shares[index % len(shares)] += 1
    return shares


def discount_of(coupon: StripeObject | None, subtotal: int) -> int:
    """What a coupon takes off a subtotal."""
    if coupon is None:
        return 0
    if coupon["percent_off"] is not None:
        off = Decimal(str(coupon["percent_off"])) * subtotal / 100
        return int(off.quantize(Decimal(1), ROUND_HALF_UP))
    return min(int(coupon["amount_off"]), subtotal)


def compute(account: Account, session: StripeObject) -> None:
    """Set the amounts of the session and of its line items from prices and choices."""
    items: list[StripeObject] = session["_line_items"]
    prices = [account.get("price", item["price"]) for item in items]
    for item, price in zip(items, prices, strict=True):
        item["amount_subtotal"] = _subtotal(price, item["quantity"], item["_chosen_amount"])
    subtotal = sum(item["amount_subtotal"] for item in items)
    coupon_id = session["_coupon"]
    coupon = account.get("coupon", coupon_id) if coupon_id else None
    discount = discount_of(coupon, subtotal)
    shares = _spread(discount, [item["amount_subtotal"] for item in items])
    taxed = session["automatic_tax"]["enabled"]
    for item, price, share in zip(items, prices, shares, strict=True):
        net = item["amount_subtotal"] - share
        inclusive = price["tax_behavior"] == "inclusive"
        base = 100 + STUB_TAX_PERCENT if inclusive else 100
        item["amount_discount"] = share
        item["amount_tax"] = net * STUB_TAX_PERCENT // base if taxed else 0
        item["amount_total"] = net + (0 if inclusive else item["amount_tax"])
    shipping = session["_shipping_amount"]
    session["amount_subtotal"] = subtotal
    session["amount_total"] = sum(item["amount_total"] for item in items) + shipping
    session["total_details"] = {
        "amount_discount": discount,
        "amount_shipping": shipping,
        "amount_tax": sum(item["amount_tax"] for item in items),
    }
