"""How often a coupon, a promotion code or a payment link may be used."""

from ..errors import invalid
from ..ids import now
from ..store import Account, StripeObject


def require_usable(account: Account, coupon_id: str) -> None:
    """Refuse a coupon that is used up or too old.

    Raises:
        StripeError: With Stripe's words.
    """
    coupon = account.get("coupon", coupon_id)
    if not coupon["valid"] or (coupon["redeem_by"] and coupon["redeem_by"] < now()):
        raise invalid(f"Coupon expired: {coupon_id}", "discounts[0][coupon]", "coupon_expired")


def count_use(account: Account, session: StripeObject) -> None:
    """Count a completed session against everything that it used."""
    for discount in session["discounts"] or ():
        for kind, object_id in (
            ("coupon", session["_coupon"]),
            ("promotion_code", discount["promotion_code"]),
        ):
            if object_id is not None:
                _redeem(account.get(kind, object_id))
    if session["payment_link"] is not None:
        _complete_on(account.get("payment_link", session["payment_link"]))


def _redeem(used: StripeObject) -> None:
    used["times_redeemed"] += 1
    if used["max_redemptions"] == used["times_redeemed"]:
        used["valid" if used["object"] == "coupon" else "active"] = False


def _complete_on(link: StripeObject) -> None:
    if link["restrictions"] is None:
        return
    completed = link["restrictions"]["completed_sessions"]
    completed["count"] += 1
    if completed["count"] >= completed["limit"]:
        link["active"] = False
