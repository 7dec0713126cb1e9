"""Coupons. See "The Coupon object" in Stripe's API reference."""

from ..errors import invalid
from ..ids import new_id, now, random_text
from ..operations import Call, operation
from ..paging import in_range, page
from ..store import StripeObject
from .common import metadata, update

_CODE_LENGTH = 8
_ALL_PERCENT = 100


@operation("POST /v1/coupons")
def create(call: Call) -> StripeObject:
    """Create a coupon over a percentage or an amount."""
    params = call.params
    if ("percent_off" in params) == ("amount_off" in params):
        raise invalid("You must pass either percent_off or amount_off.", "percent_off")
    if not 0 < params.get("percent_off", 1) <= _ALL_PERCENT:
        raise invalid(
            "Invalid value for percent_off: must be greater than 0 and less than or equal to 100",
            "percent_off",
        )
    if "amount_off" in params and "currency" not in params:
        raise invalid("You must pass currency when passing amount_off", "currency")
    coupon_id = params.get("id") or random_text(_CODE_LENGTH)
    if call.account.find(coupon_id) is not None:
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    coupon = call.account.add(
        {
            "id": coupon_id,
            "object": "coupon",
            "amount_off": params.get("amount_off"),
            "created": now(),
            "currency": params.get("currency"),
            "duration": params.get("duration", "once"),
            "duration_in_months": params.get("duration_in_months"),
            "livemode": False,
            "max_redemptions": params.get("max_redemptions"),
            "metadata": metadata(params.get("metadata")),
            "name": params.get("name"),
            "percent_off": params.get("percent_off"),
            "redeem_by": params.get("redeem_by"),
            "times_redeemed": 0,
            "valid": True,
        }
    )
    call.emulator.emit(call.account, "coupon.created", coupon)
    return coupon


@operation("GET /v1/coupons/{coupon}")
def retrieve(call: Call) -> StripeObject:
    """The coupon of this ID."""
    return call.target("coupon", "coupon")


@operation("DELETE /v1/coupons/{coupon}")
def delete(call: Call) -> StripeObject:
    """Forget a coupon."""
    coupon = retrieve(call)
    call.account.remove(coupon)
    call.emulator.emit(call.account, "coupon.deleted", coupon)
    return {"id": coupon["id"], "object": "coupon", "deleted": True}


@operation("GET /v1/coupons")
def list_all(call: Call) -> StripeObject:
    """Coupons, the newest first."""
    created = call.params.get("created")
    found = (c for c in call.account.newest_first("coupon") if in_range(c["created"], created))
    return page(call.account, found, call.params, "/v1/coupons")


@operation("POST /v1/promotion_codes")
def create_promotion_code(call: Call) -> StripeObject:
    """Create a code that customers can type on the pay page."""
    params = call.params
    coupon = call.account.get("coupon", params["promotion"].get("coupon", ""), "promotion[coupon]")
    restrictions = params.get("restrictions", {})
    code = call.account.add(
        {
            "id": new_id("promo"),
            "object": "promotion_code",
            "active": params.get("active", True),
            "code": params.get("code") or random_text(_CODE_LENGTH).upper(),
            "created": now(),
            "customer": params.get("customer"),
            "customer_account": None,
            "expires_at": params.get("expires_at"),
            "livemode": False,
            "max_redemptions": params.get("max_redemptions"),
            "metadata": metadata(params.get("metadata")),
            "promotion": {"coupon": coupon["id"], "type": "coupon"},
            "restrictions": {
                "first_time_transaction": restrictions.get("first_time_transaction", False),
                "minimum_amount": restrictions.get("minimum_amount"),
                "minimum_amount_currency": restrictions.get("minimum_amount_currency"),
            },
            "times_redeemed": 0,
        }
    )
    call.emulator.emit(call.account, "promotion_code.created", code)
    return code


@operation("GET /v1/promotion_codes/{promotion_code}")
def retrieve_promotion_code(call: Call) -> StripeObject:
    """The promotion code of this ID."""
    return call.target("promotion_code", "promotion_code")


@operation("POST /v1/promotion_codes/{promotion_code}")
def modify_promotion_code(call: Call) -> StripeObject:
    """Switch a code off and on, or change its metadata."""
    code = retrieve_promotion_code(call)
    previous = update(code, call.params, ("active",))
    call.emulator.emit(call.account, "promotion_code.updated", code, previous)
    return code


@operation("GET /v1/promotion_codes")
def list_promotion_codes(call: Call) -> StripeObject:
    """Promotion codes, the newest first."""
    params = call.params
    found = (
        code
        for code in call.account.newest_first("promotion_code")
        if in_range(code["created"], params.get("created"))
        and all(code[name] == params[name] for name in ("active", "code") if name in params)
    )
    return page(call.account, found, params, "/v1/promotion_codes")
