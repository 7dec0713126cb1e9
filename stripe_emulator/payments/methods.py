"""Payment methods and the test numbers that decide what becomes of a payment.

See "Test card numbers" under "Testing" in Stripe's documentation, and "Delayed notification
payment methods" for those whose outcome comes later.
"""

from dataclasses import dataclass
from typing import Any, Final

from ..errors import StripeError, invalid
from ..ids import new_id, now, random_text
from ..store import StripeObject

CARD: Final = "card"
DELAYED_BY_CURRENCY: Final = {
    "usd": "us_bank_account",
    "eur": "sepa_debit",
    "gbp": "bacs_debit",
    "aud": "au_becs_debit",
    "cad": "acss_debit",
    "jpy": "konbini",
}
DELAYED_TYPES: Final = frozenset(DELAYED_BY_CURRENCY.values())


@dataclass(frozen=True, slots=True)
class TestCard:
    """What a card number does.

    Attributes:
        decline: The decline code, or None when the bank agrees.
        dispute: The reason of the dispute that follows at once, or None.
        inquiry: Whether that dispute is only an inquiry.
        fraud_type: What an early fraud warning says that follows at once, or None.
        authenticate: Whether the bank wants 3D Secure first.
        refund: How refunds go: `succeeded`, `pending` (succeeds later) or `failed` (later).
    """

    __test__ = False  # pytest takes any Test… for a test

    number: str
    brand: str = "visa"
    decline: str | None = None
    dispute: str | None = None
    inquiry: bool = False
    fraud_type: str | None = None
    authenticate: bool = False
    refund: str = "succeeded"


_CARDS: Final = (
    (TestCard("4242424242424242"), "visa"),
    (TestCard("5555555555554444", "mastercard"), "mastercard"),
    (TestCard("378282246310005", "amex"), "amex"),
    (TestCard("4000000000000002", decline="generic_decline"), "chargeDeclined"),
    (TestCard("4000000000009995", decline="insufficient_funds"), "chargeDeclinedInsufficientFunds"),
    (TestCard("4000000000000341", decline="generic_decline"), "chargeCustomerFail"),
    (TestCard("4000000000000259", dispute="fraudulent"), "createDispute"),
    (TestCard("4000000000001976", dispute="fraudulent", inquiry=True), "createDisputeInquiry"),
    (TestCard("4000000000005423", fraud_type="made_with_stolen_card"), "createEarlyFraudWarning"),
    (TestCard("4000002500003155", authenticate=True), "authenticationRequired"),
    (TestCard("4000000000003220", authenticate=True), "threeDSecure2Required"),
    (TestCard("4000000000007726", refund="pending"), "pendingRefund"),
    (TestCard("4000000000005126", refund="failed"), "refundFail"),
)
CARDS_BY_NUMBER: Final = {card.number: card for card, _ in _CARDS}
CARDS_BY_TOKEN: Final = {
    f"{prefix}_{name}": card for card, name in _CARDS for prefix in ("tok", "pm_card")
} | {
    f"{prefix}_{name}": CARDS_BY_NUMBER[number]
    for prefix in ("tok", "pm_card")
    for name, number in (
        ("visa_chargeDeclined", "4000000000000002"),
        ("visa_chargeDeclinedInsufficientFunds", "4000000000009995"),
        ("us", "4242424242424242"),
    )
}

ACCOUNT_OUTCOMES: Final = {
    "AT611904300234573201": "succeed",
    "DE89370400440532013000": "succeed",
    "000123456789": "succeed",
    "00012345": "succeed",
    "IT60X0542811101000000123456": "fail",
    "AT861904300235473202": "fail",
    "000222222227": "fail",
    "33333335": "fail",
}
"""Account numbers whose debit ends by itself after a few seconds; others wait to be settled."""


def card_of(number: str) -> TestCard:
    """The behavior behind a card number.

    Raises:
        StripeError: If it is not one of the test numbers; real cards have no place here.
    """
    if not number.strip():
        raise invalid("Your card number is incomplete.", "number", "incomplete_number")
    card = CARDS_BY_NUMBER.get(number.replace(" ", ""))
    if card is None:
        raise StripeError(
            "Your card number is incorrect. Only Stripe's test cards work here.",
            status=402,
            error_type="card_error",
            code="incorrect_number",
            param="number",
        )
    return card


def billing_details(sent: dict[str, Any] | None = None) -> StripeObject:
    """Billing details with every member."""
    sent = sent or {}
    return {
        "address": full_address(sent.get("address")),
        "email": sent.get("email"),
        "name": sent.get("name"),
        "phone": sent.get("phone"),
        "tax_id": sent.get("tax_id"),
    }


def full_address(sent: Any) -> StripeObject:  # noqa: ANN401 - an address, "" or None
    """An address with every member."""
    known = sent if isinstance(sent, dict) else {}
    return {
        name: known.get(name)
        for name in ("city", "country", "line1", "line2", "postal_code", "state")
    }


def _card_details(card: TestCard, month: int, year: int) -> StripeObject:
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": month,
        "exp_year": year,
        "fingerprint": f"fp{card.number[-14:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank_details(kind: str, number: str) -> StripeObject:
    last4 = number[-4:] or None
    fingerprint = random_text(16)
    details: dict[str, StripeObject] = {
        "us_bank_account": {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "financial_connections_account": None,
            "fingerprint": fingerprint,
            "last4": last4,
            "networks": {"preferred": "ach", "supported": ["ach"]},
            "routing_number": "110000000",
            "status_details": {},
        },
        "sepa_debit": {
            "bank_code": number[4:9],
            "branch_code": "",
            "country": number[:2],
            "fingerprint": fingerprint,
            "generated_from": {"charge": None, "setup_attempt": None},
            "last4": last4,
        },
        "bacs_debit": {"fingerprint": fingerprint, "last4": last4, "sort_code": "108800"},
        "au_becs_debit": {"bsb_number": "000000", "fingerprint": fingerprint, "last4": last4},
        "acss_debit": {
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": fingerprint,
            "institution_number": "000",
            "last4": last4,
            "transit_number": "11000",
        },
        "konbini": {},
    }
    return details[kind]


def _new(kind: str, details: StripeObject, billing: StripeObject, number: str) -> StripeObject:
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing,
        kind: details,
        "created": now(),
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
        "_number": number,
    }


def new_card(
    card: TestCard, billing: StripeObject, month: int = 12, year: int = 2034
) -> StripeObject:
    """A card; `month` and `year` are its expiry."""
    return _new(CARD, _card_details(card, month, year), billing, card.number)


def new_bank_debit(kind: str, billing: StripeObject, number: str = "") -> StripeObject:
    """A delayed payment method of this type, such as `sepa_debit`.

    Raises:
        StripeError: If the type is not one of the delayed ones known here.
    """
    if kind not in DELAYED_TYPES:
        raise invalid(f"This stand-in has no payment method of type {kind}", "type")
    return _new(kind, _bank_details(kind, number), billing, number)


def behavior(method: StripeObject) -> TestCard:
    """What a payment with this method does; a bank debit behaves as the plain card."""
    return CARDS_BY_NUMBER.get(method["_number"], CARDS_BY_NUMBER["4242424242424242"])
