"""Payment links. See "The Payment Link object" in Stripe's API reference."""

import re
from typing import Any

from ..checkout.custom_fields import new_fields
from ..checkout.line_items import list_page, new_items, with_prices
from ..checkout.sessions import automatic_tax, check_url, optional_items, passed_through
from ..checkout.shipping import new_options
from ..checkout.totals import compute
from ..errors import missing_parameter, resource_missing
from ..expand import includable
from ..ids import new_id, random_text
from ..operations import Call, operation
from ..paging import first_page, page
from ..params import Params
from ..store import Account, StripeObject
from .common import is_email, metadata, update

_TOKEN_LENGTH = 18
_REFERENCE = re.compile(r"[\w-]{1,200}", re.ASCII)
_SESSION_FIELDS = (
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "customer_creation",
    "invoice_creation",
    "name_collection",
    "payment_intent_data",
    "payment_method_collection",
    "phone_number_collection",
    "shipping_address_collection",
    "shipping_options",
    "submit_type",
    "subscription_data",
    "tax_id_collection",
)


@includable("payment_link", "line_items")
def _line_items(account: Account, link: StripeObject) -> StripeObject:
    items = with_prices(account, link)
    return first_page(f"/v1/payment_links/{link['id']}/line_items", items)


def _after_completion(sent: Params | None) -> StripeObject:
    if sent and sent["type"] == "redirect":
        if "redirect" not in sent:
            raise missing_parameter("after_completion[redirect]")
        check_url(sent["redirect"]["url"], "after_completion[redirect][url]")
        return {"redirect": {"url": sent["redirect"]["url"]}, "type": "redirect"}
    message = (sent or {}).get("hosted_confirmation", {}).get("custom_message")
    return {
        "hosted_confirmation": {"custom_message": message},
        "type": "hosted_confirmation",
    }


def _restrictions(sent: Params | None) -> StripeObject | None:
    if not sent:
        return None
    return {"completed_sessions": {"count": 0, **sent["completed_sessions"]}}


def _payment_intent_data(sent: Params | None) -> StripeObject | None:
    if sent is None:
        return None
    fields = (
        "capture_method", "description", "setup_future_usage", "statement_descriptor",
        "statement_descriptor_suffix", "transfer_group",
    )  # fmt: skip
    return {name: sent.get(name) for name in fields} | {"metadata": metadata(sent.get("metadata"))}


def _subscription_data(sent: Params | None) -> StripeObject | None:
    if sent is None:
        return None
    return {
        "description": sent.get("description"),
        "invoice_settings": {"issuer": {"type": "self"}},
        "metadata": metadata(sent.get("metadata")),
        "trial_period_days": sent.get("trial_period_days"),
        "trial_settings": None,
    }


@operation("POST /v1/payment_links")
def create(call: Call) -> StripeObject:
    """Create a link; each visit makes a Checkout Session."""
    params = call.params
    link_id = new_id("plink")
    items = new_items(call, params["line_items"])
    shared = passed_through(params)
    invoices = params.get("invoice_creation")
    link: StripeObject = {
        "id": link_id,
        "object": "payment_link",
        "active": True,
        "after_completion": _after_completion(params.get("after_completion")),
        "allow_promotion_codes": params.get("allow_promotion_codes", False),
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {k: automatic_tax(params)[k] for k in ("enabled", "liability")},
        "billing_address_collection": params.get("billing_address_collection", "auto"),
        "consent_collection": shared["consent_collection"],
        "currency": items[0]["currency"],
        "custom_fields": [_without_value(f) for f in new_fields(params.get("custom_fields", []))],
        "custom_text": shared["custom_text"],
        "customer_creation": params.get("customer_creation", "if_required"),
        "inactive_message": params.get("inactive_message"),
        "invoice_creation": {"enabled": invoices["enabled"], "invoice_data": None}
        if invoices
        else None,
        "livemode": False,
        "metadata": metadata(params.get("metadata")),
        "name_collection": shared["name_collection"],
        "on_behalf_of": None,
        "optional_items": optional_items(call, params),
        "payment_intent_data": _payment_intent_data(params.get("payment_intent_data")),
        "payment_method_collection": params.get("payment_method_collection", "always"),
        "payment_method_options": None,
        "payment_method_types": params.get("payment_method_types"),
        "phone_number_collection": shared["phone_number_collection"],
        "restrictions": _restrictions(params.get("restrictions")),
        "shipping_address_collection": params.get("shipping_address_collection"),
        "shipping_options": new_options(call, params.get("shipping_options", [])),
        "submit_type": params.get("submit_type", "auto"),
        "subscription_data": _subscription_data(params.get("subscription_data")),
        "tax_id_collection": shared["tax_id_collection"] or {"enabled": False, "required": "never"},
        "transfer_data": None,
        "url": f"{call.base_url}/b/test_{random_text(_TOKEN_LENGTH)}",
        "_line_items": items,
        "_sent": {name: params[name] for name in _SESSION_FIELDS if name in params},
    }
    _add_up(call.account, link)
    call.account.add(link)
    call.emulator.emit(call.account, "payment_link.created", link)
    return link


def _without_value(field: StripeObject) -> StripeObject:
    kind = field["type"]
    return {**field, kind: {k: v for k, v in field[kind].items() if k != "value"}}


def _add_up(account: Account, link: StripeObject) -> None:
    """Give the link's line items their amounts, as a session over them would have."""
    compute(account, {**link, "_coupon": None, "_shipping_amount": 0})


def session_params(account: Account, link: StripeObject, visit: dict[str, str]) -> Params:
    """The parameters of the session that a visit to the link's page makes.

    `visit` holds the page's URL parameters: `client_reference_id`, `prefilled_email` and
    `prefilled_promo_code` are read, wrong ones passed over. See "Use URL parameters" in Stripe's
    documentation.
    """
    recurring = any(
        account.get("price", item["price"])["recurring"] for item in link["_line_items"]
    )
    params: dict[str, Any] = {
        **link["_sent"],
        "mode": "subscription" if recurring else "payment",
        "line_items": [_as_sent(item) for item in link["_line_items"]],
        "metadata": link["metadata"],
        "optional_items": [_as_sent(item) for item in link["optional_items"] or ()],
        "allowed_payment_method_types": link["payment_method_types"],
        "success_url": link["after_completion"].get("redirect", {}).get("url"),
    }
    reference, email = visit.get("client_reference_id"), visit.get("prefilled_email")
    if reference and _REFERENCE.fullmatch(reference):
        params["client_reference_id"] = reference
    if email and is_email(email):
        params["customer_email"] = email
    return params


def _as_sent(item: StripeObject) -> Params:
    sent: Params = {"price": item["price"], "quantity": item["quantity"]}
    if item["adjustable_quantity"]:
        sent["adjustable_quantity"] = item["adjustable_quantity"]
    return sent


@operation("GET /v1/payment_links/{payment_link}")
def retrieve(call: Call) -> StripeObject:
    """The link of this ID."""
    return call.target("payment_link", "payment_link")


@operation("GET /v1/payment_links/{payment_link}/line_items")
def list_line_items(call: Call) -> StripeObject:
    """The link's line items in their order."""
    link = retrieve(call)
    return list_page(call, link, f"/v1/payment_links/{link['id']}/line_items")


@operation("POST /v1/payment_links/{payment_link}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent; sessions made before keep what they have."""
    link = retrieve(call)
    params = call.params
    previous = update(link, params, ("active", "inactive_message", "allow_promotion_codes"))
    for item in params.get("line_items", []):
        _set_quantity(link, item)
    if "after_completion" in params:
        link["after_completion"] = _after_completion(params["after_completion"])
    if "custom_fields" in params:
        fields = new_fields(params["custom_fields"] or [])
        link["custom_fields"] = [_without_value(field) for field in fields]
    if "shipping_address_collection" in params:
        link["shipping_address_collection"] = params["shipping_address_collection"] or None
    link["_sent"] |= {name: params[name] for name in _SESSION_FIELDS if name in params}
    _add_up(call.account, link)
    call.emulator.emit(call.account, "payment_link.updated", link, previous)
    return link


def _set_quantity(link: StripeObject, sent: Params) -> None:
    for item in link["_line_items"]:
        if item["id"] == sent["id"]:
            item["quantity"] = sent.get("quantity", item["quantity"])
            return
    raise resource_missing("line item", sent["id"], "line_items")


@operation("GET /v1/payment_links")
def list_all(call: Call) -> StripeObject:
    """Links, the newest first."""
    found = (
        link
        for link in call.account.newest_first("payment_link")
        if "active" not in call.params or link["active"] is call.params["active"]
    )
    return page(call.account, found, call.params, "/v1/payment_links")
