"""IDs of Checkout Sessions and accounts, and the key of one fulfillment."""

import re

from pydantic import BaseModel, ConfigDict

ALL_ACCOUNTS = "*"
"""Stands for every connected account."""
_ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9]{6,60}")
_REVERSAL_ID = re.compile(r"(re|pyr|du|dp|ch|py|issfr)_[A-Za-z0-9_]{6,200}")
_SESSION_ID = re.compile(r"cs_(test|live)_[A-Za-z0-9]{8,200}")


def is_checkout_session_id(value: str) -> bool:
    """Whether a value from a URL or an event has the form of a Checkout Session ID.

    Says nothing of whether Stripe knows it. The literal `{CHECKOUT_SESSION_ID}`, which
    arrives when a merchant forgets to let Checkout fill it in, is not one.
    """
    return _SESSION_ID.fullmatch(value) is not None


def is_reversal_id(value: str) -> bool:
    """Whether a value has the form of the ID of a refund, dispute, charge or fraud warning."""
    return _REVERSAL_ID.fullmatch(value) is not None


def is_account_id(value: str) -> bool:
    """Whether a value has the form of a Stripe account's ID."""
    return _ACCOUNT_ID.fullmatch(value) is not None


def is_livemode_session(session_id: str) -> bool:
    """Whether the session was made with a live key."""
    return session_id.startswith("cs_live_")


class FulfillmentRef(BaseModel):
    """Names one fulfillment: a line item of a Checkout Session delivered one way."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    line_item_id: str
    kind: str

    @property
    def idempotency_key(self) -> str:
        """The key that every outside effect of this fulfillment carries."""
        return f"{self.session_id}:{self.line_item_id}:{self.kind}"

    @property
    def step(self) -> str:
        """How operators name it among the steps of its order's workflow."""
        return f"{self.line_item_id}:{self.kind}"
