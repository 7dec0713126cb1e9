"""Coupons and promotion codes on a session. See "Discounts for Checkout Sessions"."""

from ..errors import invalid
from ..params import Params
from ..store import Account, StripeObject
from .limits import require_usable


def apply_discounts(account: Account, session: StripeObject, sent: list[Params]) -> None:
    """Put the one discount that a session may have on it.

    Raises:
        StripeError: If there are two, or the coupon or code is unknown or used up.
    """
    if len(sent) > 1:
        raise invalid("You can only apply one discount to a Checkout Session.", "discounts")
    for discount in sent:
        if discount.get("promotion_code"):
            code = account.get(
                "promotion_code", discount["promotion_code"], "discounts[0][promotion_code]"
            )
            set_promotion_code(account, session, code)
        elif discount.get("coupon"):
            coupon = account.get("coupon", discount["coupon"], "discounts[0][coupon]")
            require_usable(account, coupon["id"])
            session["_coupon"] = coupon["id"]
            session["discounts"] = [{"coupon": coupon["id"], "promotion_code": None}]


def find_promotion_code(account: Account, text: str) -> StripeObject:
    """The active promotion code that a customer typed.

    Raises:
        StripeError: If there is none.
    """
    for code in account.newest_first("promotion_code"):
        if code["active"] and code["code"].lower() == text.strip().lower():
            return code
    raise invalid("This code is invalid.", "promotion_code")


def set_promotion_code(account: Account, session: StripeObject, code: StripeObject) -> None:
    """Put a promotion code on the session.

    Raises:
        StripeError: If its coupon is used up.
    """
    coupon = code["promotion"]["coupon"]
    require_usable(account, coupon)
    session["_coupon"] = coupon
    session["discounts"] = [{"coupon": None, "promotion_code": code["id"]}]
