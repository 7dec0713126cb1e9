"""Which discount and which tax make up an amount: answered only where it is expanded.

See `total_details.breakdown` of "The Checkout Session object" and `discounts` and `taxes` of
"The Line Item object" in Stripe's API reference.
"""

from ..expand import includable
from ..store import Account, StripeObject
from .totals import STUB_TAX_PERCENT

_DISCOUNT_ID_LENGTH = 24


def _discount(session: StripeObject) -> StripeObject:
    """The coupon or promotion code as it is applied to this session."""
    return {
        "id": f"di_{session['id'][-_DISCOUNT_ID_LENGTH:]}",
        "object": "discount",
        "checkout_session": session["id"],
        "customer": session["customer"],
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": session["discounts"][0]["promotion_code"],
        "source": {"coupon": session["_coupon"], "type": "coupon"},
        "start": session["created"],
        "subscription": session["subscription"],
        "subscription_item": None,
    }


def _tax_rate(*, inclusive: bool) -> StripeObject:
    """The one rate of the automatic tax stub."""
    return {
        "id": f"txr_Emulator{'Inclusive' if inclusive else 'Exclusive'}",
        "object": "tax_rate",
        "active": True,
        "country": None,
        "created": 0,
        "description": None,
        "display_name": "Tax",
        "effective_percentage": STUB_TAX_PERCENT,
        "flat_amount": None,
        "inclusive": inclusive,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": {},
        "percentage": STUB_TAX_PERCENT,
        "rate_type": "percentage",
        "state": None,
        "tax_type": "sales_tax",
    }


def _tax(amount: int, taxable: int, *, inclusive: bool) -> StripeObject:
    return {
        "amount": amount,
        "rate": _tax_rate(inclusive=inclusive),
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
    }


def _taxes(account: Account, item: StripeObject) -> list[StripeObject]:
    if not item["amount_tax"]:
        return []
    price = item["price"]
    found = account.get("price", price) if isinstance(price, str) else price
    taxable = item["amount_subtotal"] - item["amount_discount"]
    inclusive = found["tax_behavior"] == "inclusive"
    if inclusive:
        taxable -= item["amount_tax"]
    return [_tax(item["amount_tax"], taxable, inclusive=inclusive)]


@includable("item", "discounts")
def _item_discounts(_account: Account, item: StripeObject) -> list[StripeObject]:
    amount = item["amount_discount"]
    return [{"amount": amount, "discount": _discount(item["_owner"])}] if amount else []


@includable("item", "taxes")
def _item_taxes(account: Account, item: StripeObject) -> list[StripeObject]:
    return _taxes(account, item)


@includable("checkout.session", "total_details.breakdown")
def _breakdown(account: Account, session: StripeObject) -> StripeObject:
    """Everything taken off, and the taxes of all items added up by rate."""
    amount = session["total_details"]["amount_discount"]
    by_rate: dict[bool, StripeObject] = {}
    for item in session["_line_items"]:
        for tax in _taxes(account, item):
            nothing = {**tax, "amount": 0, "taxable_amount": 0}
            total = by_rate.setdefault(tax["rate"]["inclusive"], nothing)
            total["amount"] += tax["amount"]
            total["taxable_amount"] += tax["taxable_amount"]
    return {
        "discounts": [{"amount": amount, "discount": _discount(session)}] if amount else [],
        "taxes": list(by_rate.values()),
    }
