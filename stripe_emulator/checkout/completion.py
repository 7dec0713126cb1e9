"""A customer completes a session, and what follows: paid, settled, failed, expired.

See "How Checkout works" and "Fulfill orders" in Stripe's documentation.
"""

from dataclasses import dataclass, field
from typing import Final

from ..emulator import SCHEDULED_ACTIONS, Emulator
from ..errors import StripeError, invalid
from ..payments import intents
from ..payments.methods import full_address
from ..resources.customers import add_customer
from ..store import Account, StripeObject
from .custom_fields import answer
from .invoices import find_intent as find_invoiced_intent
from .limits import count_use
from .sessions import customer_details
from .subscriptions import (
    complete_setup,
    complete_subscription,
    first_payment_failed,
    first_payment_succeeded,
)

ASYNC_SUCCEEDED: Final = "checkout.session.async_payment_succeeded"
ASYNC_FAILED: Final = "checkout.session.async_payment_failed"


@dataclass(slots=True, kw_only=True)
class Buyer:
    """What a customer enters on the pay page."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None
    address: StripeObject | None = None
    shipping_name: str | None = None
    shipping_address: StripeObject | None = None
    custom_fields: dict[str, str] = field(default_factory=dict)


def require_open(session: StripeObject) -> None:
    """Refuse a session that is complete or expired.

    Raises:
        StripeError: With Stripe's words.
    """
    if session["status"] != "open":
        raise StripeError(
            "This Checkout Session is no longer open; its status is"
            f" {session['status']}: {session['id']}"
        )


def needs_method(session: StripeObject) -> bool:
    """Whether the customer must name a payment method: not when there is nothing to pay."""
    return session["mode"] != "payment" or bool(session["amount_total"])


def complete(
    emulator: Emulator,
    account: Account,
    session: StripeObject,
    method: StripeObject | None,
    buyer: Buyer,
) -> StripeObject:
    """The customer presses Pay; answers the event that tells of it.

    `method` may be None where `needs_method` says so.

    Raises:
        StripeError: If the session is not open, something required was not entered, or the
            bank declines; a declined session stays open.
    """
    require_open(session)
    if method is not None and method["type"] not in session["payment_method_types"]:
        raise invalid(
            f"The payment method type {method['type']} is not offered by this session:"
            f" {', '.join(session['payment_method_types'])}",
            "payment_method",
        )
    answer(session, buyer.custom_fields)
    _collect(session, buyer)
    _ensure_customer(emulator, account, session)
    if not needs_method(session):
        session["payment_status"] = "no_payment_required"
    elif method is None:
        raise invalid("A payment method is required", "payment_method")
    else:
        account.add(method)
        _take(emulator, account, session, method, buyer)
    session |= {"status": "complete", "url": None, "consent": _consent(session)}
    count_use(account, session)
    return emulator.emit(account, "checkout.session.completed", session)


def _consent(session: StripeObject) -> StripeObject | None:
    """Who pays has agreed to the terms that the page shows beside the button."""
    asked = session["consent_collection"]
    if asked is None:
        return None
    required = asked["terms_of_service"] == "required"
    return {"promotions": None, "terms_of_service": "accepted" if required else None}


def _collect(session: StripeObject, buyer: Buyer) -> None:
    known = session["customer_details"] or {}
    email = buyer.email or known.get("email")
    if not email:
        raise invalid("Your email is required", "email")
    wants_shipping = session["shipping_address_collection"] is not None
    if wants_shipping and not (buyer.shipping_address and buyer.shipping_name):
        raise invalid("A shipping address and a name are required", "shipping")
    if wants_shipping and buyer.shipping_address:
        allowed = session["shipping_address_collection"]["allowed_countries"]
        if buyer.shipping_address.get("country") not in allowed:
            raise invalid(f"We only ship to {', '.join(allowed)}", "shipping[address][country]")
    session["customer_details"] = customer_details(
        email=email,
        name=buyer.name or known.get("name"),
        phone=buyer.phone,
        address=full_address(buyer.address or buyer.shipping_address),
    )
    session["collected_information"] = {
        "business_name": None,
        "individual_name": None,
        "shipping_details": {
            "address": full_address(buyer.shipping_address),
            "name": buyer.shipping_name,
        }
        if wants_shipping
        else None,
    }


def _ensure_customer(emulator: Emulator, account: Account, session: StripeObject) -> None:
    needed = session["customer_creation"] == "always" or session["mode"] == "subscription"
    if session["customer"] is None and needed:
        details = session["customer_details"]
        customer = add_customer(
            emulator, account, {"email": details["email"], "name": details["name"]}
        )
        session["customer"] = customer["id"]


def _take(
    emulator: Emulator,
    account: Account,
    session: StripeObject,
    method: StripeObject,
    buyer: Buyer,
) -> None:
    """Use the payment method in the way of the session's mode."""
    if session["mode"] != "payment":
        method["customer"] = session["customer"]
        begin = complete_subscription if session["mode"] == "subscription" else complete_setup
        begin(emulator, account, session, method)
        return
    intent = _intent(emulator, account, session, buyer)
    intents.confirm(emulator, account, intent, method)
    session["payment_intent"] = intent["id"]
    session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"


def _intent(
    emulator: Emulator, account: Account, session: StripeObject, buyer: Buyer
) -> StripeObject:
    """The session's intent; a declined attempt leaves one that the next attempt takes up."""
    earlier = session.get("_declined_intent")
    if earlier is not None:
        intent = account.get("payment_intent", earlier)
        intent["amount"] = session["amount_total"]
        return intent
    data = session["_payment_intent_data"]
    shipping = data.get("shipping")
    if buyer.shipping_address and session["shipping_address_collection"] is not None:
        shipping = {"address": buyer.shipping_address, "name": buyer.shipping_name}
    intent = intents.new_intent(
        account,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        description=data.get("description"),
        metadata=dict(data.get("metadata") or {}),
        payment_method_types=session["payment_method_types"],
        receipt_email=data.get("receipt_email"),
        setup_future_usage=data.get("setup_future_usage"),
        shipping=intents.shipping_details(shipping),
        _session=session["id"],
    )
    session["_declined_intent"] = intent["id"]
    emulator.emit(account, "payment_intent.created", intent)
    return intent


def confirm(
    emulator: Emulator, account: Account, intent: StripeObject, method: StripeObject
) -> StripeObject:
    """Take a payment that was asked for over the API.

    It may be the later attempt for a session whose bank debit came back: that is paid with it.

    Raises:
        StripeError: A `card_error` with status 402 when the bank declines.
    """
    intents.confirm(emulator, account, intent, method)
    if intent["status"] == "succeeded":
        _succeeded(emulator, account, intent)
    return intent


def settle(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The bank debit behind an intent went through; its session is paid now.

    If it came back before, the customer has tried again.

    Raises:
        StripeError: If nothing is or was under way.
    """
    _ensure_under_way(emulator, account, intent)
    intents.settle(emulator, account, intent)
    _succeeded(emulator, account, intent)


def fail(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The bank debit behind an intent came back, perhaps once more; its session stays unpaid.

    Raises:
        StripeError: If nothing is or was under way.
    """
    _ensure_under_way(emulator, account, intent)
    intents.fail(emulator, account, intent)
    if "_invoice" in intent:
        first_payment_failed(emulator, account, intent)
    _tell(emulator, account, intent, "unpaid", ASYNC_FAILED)


def _ensure_under_way(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    if intent["status"] == "requires_payment_method":
        intents.try_again(emulator, account, intent)


def _succeeded(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    if "_invoice" in intent:
        first_payment_succeeded(emulator, account, intent)
    _tell(emulator, account, intent, "paid", ASYNC_SUCCEEDED)


def _tell(
    emulator: Emulator, account: Account, intent: StripeObject, status: str, event_type: str
) -> None:
    session_id = intent.get("_session")
    if session_id is None:
        return
    session = account.get("checkout.session", session_id)
    if session["status"] == "complete":
        session["payment_status"] = status
        emulator.emit(account, event_type, session)


def find_intent(account: Account, session: StripeObject) -> StripeObject | None:
    """The intent behind a session, be it that of a subscription's first invoice."""
    if session["invoice"] is not None:
        return find_invoiced_intent(account, account.get("invoice", session["invoice"]))
    return account.find(session["payment_intent"] or "")


def intent_of(account: Account, session: StripeObject) -> StripeObject:
    """The intent behind a session.

    Raises:
        StripeError: If nobody has paid.
    """
    intent = find_intent(account, session)
    if intent is None:
        raise StripeError(f"Nothing was paid in this Checkout Session: {session['id']}")
    return intent


def expire(emulator: Emulator, account: Account, session: StripeObject) -> StripeObject:
    """End a session that nobody paid.

    Raises:
        StripeError: If it is not open.
    """
    if session["status"] != "open":
        raise StripeError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout'
            f" Session has a status of {session['status']}."
        )
    session |= {"status": "expired", "url": None}
    emulator.emit(account, "checkout.session.expired", session)
    return session


def _expire_by_clock(emulator: Emulator, account: Account, session_id: str) -> None:
    session = account.get("checkout.session", session_id)
    if session["status"] == "open":
        expire(emulator, account, session)


def _end_by_clock(emulator: Emulator, account: Account, charge_id: str, *, succeed: bool) -> None:
    """End one attempt, unless it was ended by hand; a later attempt has a charge of its own."""
    charge = account.get("charge", charge_id)
    if charge["status"] == "pending":
        intent = account.get("payment_intent", charge["payment_intent"])
        (settle if succeed else fail)(emulator, account, intent)


SCHEDULED_ACTIONS["expire_session"] = _expire_by_clock
SCHEDULED_ACTIONS["payment_succeed"] = lambda emulator, account, charge_id: _end_by_clock(
    emulator, account, charge_id, succeed=True
)
SCHEDULED_ACTIONS["payment_fail"] = lambda emulator, account, charge_id: _end_by_clock(
    emulator, account, charge_id, succeed=False
)
