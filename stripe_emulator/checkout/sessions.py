"""New Checkout Sessions. See "The Checkout Session object" in Stripe's API reference."""

from typing import Any, Final

from ..errors import invalid, missing_parameter, require_one_of
from ..expand import includable
from ..ids import new_id, now, random_text
from ..money import MINIMUM_CHARGE, amount_too_small, display
from ..operations import Call
from ..paging import first_page
from ..params import Params
from ..payments.methods import CARD, DELAYED_BY_CURRENCY
from ..resources.common import check_email, metadata, require
from ..store import Account, StripeObject
from . import breakdown as breakdown  # noqa: PLC0414 - registers what sessions can expand
from .custom_fields import new_fields
from .discounts import apply_discounts
from .line_items import adjustable, new_items, with_prices
from .shipping import apply_shipping_option, new_options
from .totals import compute

MIN_LIFETIME_S: Final = 30 * 60
MAX_LIFETIME_S: Final = 24 * 3600
MAX_REFERENCE_LENGTH: Final = 200
_ID_LENGTH: Final = 58
_CUSTOM_TEXTS: Final = (
    "after_submit",
    "shipping_address",
    "submit",
    "terms_of_service_acceptance",
)
_ID_MARK: Final = {"payment": "a1", "subscription": "b1", "setup": "c1"}


@includable("checkout.session", "line_items")
def _line_items(account: Account, session: StripeObject) -> StripeObject | None:
    if session["mode"] == "setup":
        return None
    items = with_prices(account, session)
    return first_page(f"/v1/checkout/sessions/{session['id']}/line_items", items)


def default_payment_methods(currency: str | None, mode: str) -> list[str]:
    """What is offered when a session names no types: cards, and the currency's bank debit.

    Konbini is paid by hand and cannot be charged again; a setup is offered cards only.
    """
    delayed = DELAYED_BY_CURRENCY.get(currency or "")
    if delayed is None or mode == "setup" or (mode == "subscription" and delayed == "konbini"):
        return [CARD]
    return [CARD, delayed]


def _expires_at(params: Params) -> int:
    created = now()
    expires: int = params.get("expires_at", created + MAX_LIFETIME_S)
    if not created + MIN_LIFETIME_S <= expires <= created + MAX_LIFETIME_S:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from"
            " Checkout Session creation.",
            "expires_at",
        )
    return expires


def _check_urls(params: Params, ui_mode: str) -> None:
    if ui_mode == "hosted_page":
        if not params.get("success_url"):
            raise missing_parameter("success_url")
        for name in ("success_url", "cancel_url"):
            check_url(params.get(name), name)
        return
    if "success_url" in params or "cancel_url" in params:
        raise invalid(f"`success_url` can't be used with ui_mode {ui_mode}", "success_url")
    if not params.get("return_url") and params.get("redirect_on_completion") != "never":
        raise missing_parameter("return_url")


def check_url(url: str | None, name: str) -> None:
    """Refuse what is no web address.

    Raises:
        StripeError: `url_invalid`.
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise invalid("Not a valid URL", name, "url_invalid")


def _check_customer(params: Params) -> None:
    require_one_of(params, "customer", "customer_email")
    if "customer_email" in params:
        check_email(params["customer_email"], "customer_email")
    if len(params.get("client_reference_id", "")) > MAX_REFERENCE_LENGTH:
        raise invalid(
            f"Invalid string: {params['client_reference_id'][:10]}…; must be at most"
            f" {MAX_REFERENCE_LENGTH} characters",
            "client_reference_id",
        )


def _check_total(session: StripeObject) -> None:
    total, currency = session["amount_total"], session["currency"]
    if session["mode"] == "payment" and amount_too_small(total, currency):
        least = display(MINIMUM_CHARGE[currency], currency)
        raise invalid(
            f"The Checkout Session's total amount due must add up to at least {least} {currency}",
            code="amount_too_small",
        )


def _customer_details(params: Params, customer: StripeObject | None) -> StripeObject | None:
    email = params.get("customer_email") or (customer["email"] if customer else None)
    if email is None:
        return None
    return customer_details(email=email, name=customer["name"] if customer else None)


def customer_details(
    *, email: str | None, name: str | None = None, phone: str | None = None,
    address: StripeObject | None = None,
) -> StripeObject:  # fmt: skip
    """Who pays, with every member."""
    return {
        "address": address,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": phone,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def passed_through(params: Params) -> StripeObject:
    """Fields that sessions and payment links repeat as they were sent."""
    after = params.get("after_expiration")
    consent = params.get("consent_collection")
    names = params.get("name_collection")
    text = params.get("custom_text", {})
    tax_ids = params.get("tax_id_collection")
    return {
        "after_expiration": {
            "recovery": {
                "allow_promotion_codes": False,
                "expires_at": None,
                "url": None,
                **after["recovery"],
            }
        }
        if after and "recovery" in after
        else None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "billing_address_collection": params.get("billing_address_collection"),
        "branding_settings": None,
        "client_reference_id": params.get("client_reference_id"),
        "consent_collection": {
            "payment_method_reuse_agreement": None,
            "promotions": "none",
            "terms_of_service": "none",
            **consent,
        }
        if consent
        else None,
        "custom_text": {name: text.get(name) or None for name in _CUSTOM_TEXTS},
        "locale": params.get("locale"),
        "name_collection": {kind: {"optional": False, **fields} for kind, fields in names.items()}
        if names
        else None,
        "origin_context": params.get("origin_context"),
        "payment_method_collection": params.get("payment_method_collection", "if_required"),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "phone_number_collection": {
            "enabled": params.get("phone_number_collection", {}).get("enabled", False)
        },
        "shipping_address_collection": params.get("shipping_address_collection"),
        "submit_type": params.get("submit_type"),
        "tax_id_collection": {"required": "never", **tax_ids} if tax_ids else None,
        "wallet_options": params.get("wallet_options"),
    }


def optional_items(call: Call, params: Params) -> list[StripeObject] | None:
    """Items that the customer may add.

    Raises:
        StripeError: If a price is unknown.
    """
    sent: list[Params] | None = params.get("optional_items")
    if not sent:
        return None
    for index, item in enumerate(sent):
        call.account.get("price", item["price"], f"optional_items[{index}][price]")
    return [
        {
            "adjustable_quantity": adjustable(item.get("adjustable_quantity")),
            "price": item["price"],
            "quantity": item["quantity"],
        }
        for item in sent
    ]


def new_session(call: Call, params: Params, *, payment_link: str | None = None) -> StripeObject:
    """Make, keep and return an open session.

    Raises:
        StripeError: If parameters contradict each other or name unknown objects.
    """
    mode = params.get("mode", "payment")
    ui_mode = params.get("ui_mode", "hosted_page")
    if payment_link is None:
        _check_urls(params, ui_mode)
    _check_customer(params)
    if mode != "setup" and not params.get("line_items"):
        raise missing_parameter("line_items")
    customer = require(call.account, "customer", params, "customer")
    items = new_items(call, params.get("line_items", []))
    currency = items[0]["currency"] if items else params.get("currency")
    _check_mode(call.account, items, mode)
    session_id = new_id(f"cs_test_{_ID_MARK[mode]}", _ID_LENGTH).replace(
        f"{_ID_MARK[mode]}_", _ID_MARK[mode]
    )
    hosted = ui_mode == "hosted_page"
    expires_at = _expires_at(params)
    session: StripeObject = {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": None,
        "amount_total": None,
        "automatic_tax": automatic_tax(params),
        "cancel_url": params.get("cancel_url"),
        "client_secret": None if hosted else f"{session_id}_secret_{random_text(24)}",
        "collected_information": None,
        "consent": None,
        "created": now(),
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": new_fields(params.get("custom_fields") or []),
        "customer": customer["id"] if customer else None,
        "customer_account": None,
        "customer_creation": None
        if customer
        else params.get("customer_creation", "if_required" if mode == "payment" else "always"),
        "customer_details": _customer_details(params, customer),
        "customer_email": params.get("customer_email"),
        "discounts": [] if mode != "setup" else None,
        "expires_at": expires_at,
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": _invoice_creation(params) if mode == "payment" else None,
        "livemode": False,
        "metadata": metadata(params.get("metadata")),
        "mode": mode,
        "optional_items": optional_items(call, params),
        "payment_intent": None,
        "payment_link": payment_link,
        "payment_method_configuration_details": None,
        "payment_method_types": params.get("allowed_payment_method_types")
        or default_payment_methods(currency, mode),
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "permissions": None,
        "presentment_details": None,
        "recovered_from": None,
        "redirect_on_completion": None
        if hosted
        else params.get("redirect_on_completion", "always"),
        "return_url": params.get("return_url"),
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_cost": None,
        "shipping_options": new_options(call, params.get("shipping_options", [])),
        "status": "open",
        "subscription": None,
        "success_url": params.get("success_url"),
        "total_details": None,
        "ui_mode": ui_mode,
        "url": f"{call.base_url}/c/pay/{session_id}" if hosted else None,
        **passed_through(params),
        "_coupon": None,
        "_line_items": items,
        "_payment_intent_data": params.get("payment_intent_data", {}),
        "_setup_intent_data": params.get("setup_intent_data", {}),
        "_shipping_amount": 0,
        "_subscription_data": params.get("subscription_data", {}),
    }
    if mode != "setup":
        apply_discounts(call.account, session, params.get("discounts") or [])
        apply_shipping_option(call.account, session, 0)
        compute(call.account, session)
        _check_total(session)
    call.account.add(session)
    call.emulator.schedule.add(expires_at, "expire_session", call.account.id, session_id)
    return session


def _check_mode(account: Account, items: list[StripeObject], mode: str) -> None:
    recurring = any(account.get("price", item["price"])["recurring"] for item in items)
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to"
            " `subscription` mode or use only one-time prices.",
            "line_items",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using"
            " prices.",
            "line_items",
        )
    if mode == "setup" and items:
        raise invalid("`line_items` are not supported in `setup` mode.", "line_items")


def automatic_tax(params: Params) -> dict[str, Any]:
    """Whether tax is added, and who owes it."""
    enabled = params.get("automatic_tax", {}).get("enabled", False)
    return {
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
        "provider": "stripe" if enabled else None,
        "status": "complete" if enabled else None,
    }


def _invoice_creation(params: Params) -> StripeObject:
    sent = params.get("invoice_creation", {"enabled": False})
    data = sent.get("invoice_data", {})
    return {
        "enabled": sent["enabled"],
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": data.get("description"),
            "footer": data.get("footer"),
            "issuer": None,
            "metadata": metadata(data.get("metadata")),
            "rendering_options": None,
        },
    }
