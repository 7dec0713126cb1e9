"""What clients send that do not name the emulator's API version: the CLI, curl, old SDKs.

They speak the version that is their account's default at Stripe, whose parameters are older
than those of the pinned SDK. A request that names the version gets no such help.
"""

from typing import Final

from .config import API_VERSION
from .forms import FormTree

_RENAMED: Final = {"payment_method_types": "allowed_payment_method_types"}
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
