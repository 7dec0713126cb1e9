"""Sessions made and paid without a browser, for the control API and load tests."""

from typing import Any, Final

from .checkout.completion import Buyer, complete, needs_method
from .checkout.sessions import new_session
from .emulator import Emulator
from .errors import invalid
from .operations import Call
from .payments.methods import (
    CARD,
    DELAYED_TYPES,
    billing_details,
    card_of,
    new_bank_debit,
    new_card,
)
from .samples import SHIPPING_COUNTRIES
from .store import PLATFORM_ACCOUNT, Account, StripeObject

DEFAULT_ADDRESS: Final = {
    "city": "San Francisco",
    "country": "US",
    "line1": "354 Oyster Point Blvd",
    "line2": None,
    "postal_code": "94080",
    "state": "CA",
}
DEFAULT_EMAIL: Final = "jenny.rosen@example.com"
DEFAULT_NAME: Final = "Jenny Rosen"
DEFAULT_SUCCESS_URL: Final = "https://example.com/after-checkout?session_id={CHECKOUT_SESSION_ID}"


def method_for(
    session: StripeObject, kind: str, billing: StripeObject, number: str | None = None
) -> StripeObject:
    """A card, or the delayed method that the session offers.

    Raises:
        StripeError: If the session offers no such method or the number is no test number.
    """
    if kind == CARD:
        return new_card(card_of(number or "4242424242424242"), billing)
    if kind != "bank_debit":
        raise invalid("Invalid method: must be one of card, or bank_debit", "method")
    for offered in session["payment_method_types"]:
        if offered in DELAYED_TYPES:
            return new_bank_debit(offered, billing, number or "")
    raise invalid(
        f"This session offers no bank debit: {', '.join(session['payment_method_types'])}",
        "method",
    )


def pay(
    emulator: Emulator, account: Account, session: StripeObject, order: dict[str, Any]
) -> StripeObject:
    """Pay an open session as the order says: method, number, email, name, phone, address.

    `presentment`, with an amount in minor units and a currency, is what a buyer of another
    country saw: see "Adaptive Pricing" in Stripe's documentation. Answers the
    `checkout.session.completed` event.

    Raises:
        StripeError: As `complete` does.
    """
    address = order.get("address") or _default_address(session)
    name = order.get("name") or DEFAULT_NAME
    known = session["customer_details"] or {}
    buyer = Buyer(
        email=order.get("email") or known.get("email") or DEFAULT_EMAIL,
        name=name,
        phone=order.get("phone"),
        address=address,
        shipping_name=name,
        shipping_address=address,
        custom_fields=order.get("custom_fields", {}),
    )
    if "presentment" in order:
        session["presentment_details"] = {
            "presentment_amount": order["presentment"]["amount"],
            "presentment_currency": order["presentment"]["currency"],
        }
    billing = billing_details({"email": buyer.email, "name": name, "address": address})
    method = (
        method_for(session, order.get("method", CARD), billing, order.get("number"))
        if needs_method(session)
        else None
    )
    return complete(emulator, account, session, method, buyer)


def _default_address(session: StripeObject) -> StripeObject:
    """An address in a country that the session ships to."""
    collection = session["shipping_address_collection"]
    countries = collection["allowed_countries"] if collection else ["US"]
    return DEFAULT_ADDRESS if "US" in countries else {**DEFAULT_ADDRESS, "country": countries[0]}


def purchase(
    emulator: Emulator, base_url: str, line_items: list[dict[str, Any]], order: dict[str, Any]
) -> StripeObject:
    """Create a session over the line items and pay it at once; answers the session.

    `order["session"]` may hold further parameters of the session, and `order["account"]` the
    connected account that sells.

    Raises:
        StripeError: As creating and paying do.
    """
    account = emulator.account(order.get("account") or PLATFORM_ACCOUNT)
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": line_items,
        "success_url": emulator.config.success_url or DEFAULT_SUCCESS_URL,
    }
    if ships(account, line_items):
        params["shipping_address_collection"] = {"allowed_countries": SHIPPING_COUNTRIES}
    call = Call(emulator, account, {}, {}, base_url)
    session = new_session(call, params | order.get("session", {}))
    pay(emulator, account, session, order)
    return session


def ships(account: Account, line_items: list[dict[str, Any]]) -> bool:
    """Whether any of the items is of a shippable product."""
    for item in line_items:
        price = account.find(item.get("price", ""))
        product = account.find(price["product"]) if price is not None else None
        if product is not None and product["shippable"]:
            return True
    return False
