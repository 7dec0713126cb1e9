"""Stripe's SDK as every Stripe adapter uses it: one client, one version, one error rule."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import stripe

from adapters.http_errors import error_for_status
from domain.errors import PermanentError, TransientError

VENDOR = "stripe"
API_VERSION = "2026-10-28.endive"
"""Pinned: what these adapters read is what this version sends."""
TIMEOUT_S = 20.0
PAGE_SIZE = 100
"""The most that Stripe gives at once; an expanded list gives 10."""


@asynccontextmanager
async def open_stripe(api_key: str, *, api_base: str) -> AsyncIterator[stripe.StripeClient]:
    """A client of Stripe's API for as long as the block.

    Args:
        api_key: A secret or restricted key.
        api_base: Where Stripe's API is.
    """
    http = stripe.HTTPXClient(timeout=TIMEOUT_S)
    try:
        yield stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=http,
            stripe_version=API_VERSION,
            # Temporal retries, where everybody sees it.
            max_network_retries=0,
        )
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


def on_account(account: str | None) -> dict[str, Any]:
    """Request options that make a call on a connected account; None is our own."""
    return {"stripe_account": account} if account else {}


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Asks Stripe something, and reads what it says.

    Args:
        what: What it is about, for the error.

    Raises:
        PermanentError: Stripe refuses, or answers in a form that this version cannot read.
        TransientError: Stripe cannot answer now.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise translated(error) from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise PermanentError(
            f"{VENDOR}_unreadable", f"{what} has an unknown form: {type(error).__name__}"
        ) from error


def translated(error: stripe.StripeError) -> PermanentError | TransientError:
    """What an error of the SDK means for trying again."""
    if error.http_status is None:
        return TransientError(f"{VENDOR}_unavailable", f"{VENDOR}: {type(error).__name__}")
    # Stripe's own sentence stays out: it quotes parameters, and parts of the key.
    detail = f"{error.code or type(error).__name__}, request {error.request_id}"
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return error_for_status(VENDOR, error.http_status, detail, headers.get("retry-after"))
