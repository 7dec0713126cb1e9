"""The accounts themselves: the platform's own and those connected to it.

See "The Account object" in Stripe's API reference.
"""

from .ids import now
from .store import PLATFORM_ACCOUNT, StripeObject


def new_account(account_id: str) -> StripeObject:
    """An account that may do everything."""
    own = account_id == PLATFORM_ACCOUNT
    return {
        "id": account_id,
        "object": "account",
        "business_profile": None,
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"}
        if own
        else {"is_controller": True, "type": "application"},
        "country": "US",
        "created": now(),
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "type": "standard",
    }
