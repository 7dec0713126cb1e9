"""What an entitlement is, for how long it lasts, and what becomes of it with a later order."""

import re
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

_NUMBER = "[1-9][0-9]{0,2}"
_DURATION = re.compile(f"P(?=.)({_NUMBER}Y)?({_NUMBER}M)?({_NUMBER}W)?({_NUMBER}D)?")


class Renewal(StrEnum):
    """What a later order of the same customer does about a feature that still runs."""

    EXTEND = "extend"
    """What it brings begins when that ends."""
    ADD = "add"
    """What it brings begins at once, beside it."""


class CustomerName(StrEnum):
    """By what a customer is known."""

    CUSTOMER = "customer"
    """Their ID at Stripe, cus_…"""
    CLIENT_REFERENCE_ID = "client_reference_id"
    """What the merchant calls them in their Checkout Sessions."""
    EMAIL = "email"


class CustomerKey(BaseModel):
    """Names one customer."""

    model_config = ConfigDict(frozen=True)

    name: CustomerName
    value: str


class Entitlement(BaseModel):
    """What a customer may use, how many at a time, from when and until when."""

    model_config = ConfigDict(frozen=True)

    id: str
    session_id: str
    """The order that brought it."""
    feature: str
    url: str
    quantity: int
    """Seats."""
    customer_id: str | None
    customer_email: str | None
    client_reference_id: str | None
    starts_at: datetime
    expires_at: datetime | None
    """None: it does not end by itself."""
    revoked_at: datetime | None
    revoked_because: str | None


def check_duration(value: str) -> str:
    """A duration in years, months, weeks and days, such as P1M, P1Y6M or P14D, as it is.

    Source: ISO 8601; PostgreSQL's manual, "Interval Input", which adds them by the calendar.

    Raises:
        ValueError: It is none.
    """
    if _DURATION.fullmatch(value) is None:
        raise ValueError("must be years, months, weeks or days, as in P1Y, P1M or P14D")
    return value
