"""Checkout Sessions through Stripe's SDK."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

import stripe
from pydantic import ValidationError

from adapters.http_errors import error_for_status
from domain.checkout import (
    Address,
    CheckoutMode,
    CheckoutSession,
    LineItem,
    PaymentStatus,
    SessionStatus,
)
from domain.errors import PermanentError, TransientError
from domain.money import Money

VENDOR = "stripe"
API_VERSION = "2026-10-28.endive"
"""Pinned: what this file reads is what this version sends."""
TIMEOUT_S = 20.0
PAGE_SIZE = 100
"""The most that Stripe gives at once; an expanded list gives 10."""
SESSION_UNKNOWN = "session_unknown"

# A PaymentIntent in one of these states will not be paid by the session's buyer any more.
_FAILED_INTENT_STATES = frozenset({"requires_payment_method", "canceled"})


class StripeCheckout:
    """Retrieves Checkout Sessions.

    Args:
        api_key: A secret or restricted key that may read Checkout Sessions, PaymentIntents
            and products.
        api_base: Where Stripe's API is.
    """

    def __init__(self, api_key: str, *, api_base: str) -> None:
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        self._sessions = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=self._http,
            stripe_version=API_VERSION,
            # Temporal retries, where everybody sees it.
            max_network_retries=0,
        ).v1.checkout.sessions

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def retrieve(self, session_id: str) -> CheckoutSession:
        """See `activities.ports.CheckoutSessions`.

        One call where the session has at most ten line items; otherwise they are paged by
        `GET /v1/checkout/sessions/:id/line_items`.
        """
        try:
            session = await self._sessions.retrieve_async(
                session_id,
                {"expand": ["line_items.data.price.product", "payment_intent"]},
            )
            items = (
                [item.to_dict() for item in session.line_items.data] if session.line_items else []
            )
            if session.line_items and session.line_items.has_more:
                page = await self._sessions.line_items.list_async(
                    session_id, {"limit": PAGE_SIZE, "expand": ["data.price.product"]}
                )
                items = [item.to_dict() async for item in page.auto_paging_iter()]
        except stripe.StripeError as error:
            raise _translated(error) from error
        try:
            return _session(session.to_dict(), items)
        except (ValidationError, KeyError, TypeError) as error:
            # Permanent: the answer has a form that this version of the code cannot read.
            raise PermanentError(
                f"{VENDOR}_unreadable", f"the session has an unknown form: {type(error).__name__}"
            ) from error


def _translated(error: stripe.StripeError) -> PermanentError | TransientError:
    if error.http_status is None:
        return TransientError(f"{VENDOR}_unavailable", f"{VENDOR}: {type(error).__name__}")
    # Stripe's own sentence stays out: it quotes parameters, and parts of the key.
    detail = f"{error.code or type(error).__name__}, request {error.request_id}"
    if error.code == "resource_missing":
        return PermanentError(SESSION_UNKNOWN, f"{VENDOR} knows no such session: {detail}")
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return error_for_status(VENDOR, error.http_status, detail, headers.get("retry-after"))


def _session(data: Mapping[str, Any], items: list[dict[str, Any]]) -> CheckoutSession:
    customer = data.get("customer_details") or {}
    totals = data.get("total_details") or {}
    currency = data.get("currency")

    def money(amount_minor: int | None) -> Money | None:
        if amount_minor is None or currency is None:
            return None
        return Money(amount_minor=amount_minor, currency=currency)

    intent = data.get("payment_intent")
    return CheckoutSession(
        id=data["id"],
        livemode=data["livemode"],
        created=datetime.fromtimestamp(data["created"], UTC),
        mode=CheckoutMode(data["mode"]),
        status=SessionStatus(data["status"]),
        payment_status=PaymentStatus(data["payment_status"]),
        payment_failed=isinstance(intent, dict) and intent["status"] in _FAILED_INTENT_STATES,
        subtotal=money(data.get("amount_subtotal")),
        total=money(data.get("amount_total")),
        tax=money(totals.get("amount_tax")),
        shipping=money(totals.get("amount_shipping")),
        discount=money(totals.get("amount_discount")),
        payment_intent_id=intent["id"] if isinstance(intent, dict) else intent,
        payment_method_types=tuple(data.get("payment_method_types") or ()),
        customer_email=customer.get("email") or data.get("customer_email"),
        customer_name=customer.get("name"),
        locale=data.get("locale"),
        shipping_address=_shipping_address(data),
        client_reference_id=data.get("client_reference_id"),
        metadata=data.get("metadata") or {},
        url=data.get("url"),
        line_items=tuple(_line_item(item) for item in items),
    )


def _shipping_address(data: Mapping[str, Any]) -> Address | None:
    collected = (data.get("collected_information") or {}).get("shipping_details")
    if not collected:
        return None
    return Address.model_validate(
        {**(collected.get("address") or {}), "name": collected.get("name")}
    )


def _line_item(item: Mapping[str, Any]) -> LineItem:
    price = item.get("price") or {}
    product = price.get("product")
    expanded = product if isinstance(product, dict) else {}
    return LineItem(
        id=item["id"],
        description=item.get("description") or expanded.get("name") or item["id"],
        # Null where a price is tiered or metered: one of it was bought.
        quantity=item["quantity"] if item.get("quantity") is not None else 1,
        subtotal=Money(amount_minor=item["amount_subtotal"], currency=item["currency"]),
        total=Money(amount_minor=item["amount_total"], currency=item["currency"]),
        price_id=price.get("id"),
        product_id=expanded.get("id") if expanded else product,
        # A deleted product comes without metadata.
        product_metadata=expanded.get("metadata") or {},
    )
