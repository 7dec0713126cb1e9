"""Older API versions, as far as fulfillment meets them.

Clients that do not name a version (the CLI, curl) speak the one that is their account's
default at Stripe, whose parameters are older than those of the pinned SDK; a request that
names the emulator's version gets no such help. Webhook endpoints get events as of their own
version. See "API upgrades" in Stripe's documentation.
"""

from typing import Final

from .config import API_VERSION
from .forms import FormTree
from .store import StripeObject

_RENAMED: Final = {"payment_method_types": "allowed_payment_method_types"}
_SHIPPING_MOVED: Final = "2025-03-31"
"""From this version on, `shipping_details` is in `collected_information`."""
_UI_MODES: Final = {
    "hosted": "hosted_page",
    "embedded": "embedded_page",
    "custom": "elements",
}


def translate(tree: FormTree, path: str, version: str | None) -> FormTree:
    """The parameters as the emulator's own version names them."""
    if version == API_VERSION or path.startswith("/v1/payment_links"):
        return tree
    renamed = {_RENAMED.get(name, name): value for name, value in tree.items()}
    if path.startswith("/v1/promotion_codes") and "coupon" in renamed:
        renamed["promotion"] = {"type": "coupon", "coupon": renamed.pop("coupon")}
    ui_mode = renamed.get("ui_mode")
    if isinstance(ui_mode, str):
        renamed["ui_mode"] = _UI_MODES.get(ui_mode, ui_mode)
    return renamed


def event_at(event: StripeObject, version: str) -> StripeObject:
    """The event as an endpoint of that API version gets it.

    Of all that changed between versions, only what a fulfillment service reads is undone:
    before 2025-03-31 a session has `shipping_details` of its own.
    """
    rendered = {name: value for name, value in event.items() if name[0] != "_"}
    rendered["api_version"] = version
    obj = event["data"]["object"]
    if version < _SHIPPING_MOVED and obj["object"] == "checkout.session":
        collected = obj["collected_information"] or {}
        older = {**obj, "shipping_details": collected.get("shipping_details")}
        rendered["data"] = {**event["data"], "object": older}
    return rendered
