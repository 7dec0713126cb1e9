"""Checkout Sessions through Stripe's SDK."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import stripe

from adapters.stripe_api import PAGE_SIZE, VENDOR, on_account, reading
from domain.checkout import (
    Address,
    CheckoutMode,
    CheckoutSession,
    CollectedDetails,
    CustomField,
    LineItem,
    PaymentMethod,
    PaymentStatus,
    QuantityOffer,
    SessionStatus,
)
from domain.errors import SessionUnknownError
from domain.money import Money

_EXPANDED = [
    "line_items.data.price.product",
    "payment_intent.payment_method",
    "payment_intent.latest_charge",
    "setup_intent.payment_method",
    "subscription.default_payment_method",
]
# A PaymentIntent in one of these states will not be paid by the session's buyer any more.
_FAILED_INTENT_STATES = frozenset({"requires_payment_method", "canceled"})


class StripeCheckout:
    """Retrieves Checkout Sessions.

    Args:
        client: A client whose key may read Checkout Sessions, PaymentIntents, SetupIntents,
            subscriptions, invoices and products.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    async def retrieve(self, session_id: str, account: str | None = None) -> CheckoutSession:
        """See `activities.ports.CheckoutSessions`.

        One call where the session has at most ten line items; otherwise they are paged by
        `GET /v1/checkout/sessions/:id/line_items`. An unpaid subscription takes another.
        """
        options: Any = on_account(account)
        with reading("the session"):
            try:
                # The answer as it came: an object for each of its parts costs three times as much
                # of the worker's time as the request itself.
                answer = await self._client.raw_request_async(
                    "get", f"/v1/checkout/sessions/{quote(session_id)}", expand=_EXPANDED, **options
                )
                data: dict[str, Any] = answer.data
                # A setup session has none at all.
                first_items = data.get("line_items") or {"data": [], "has_more": False}
                items = first_items["data"]
                if first_items["has_more"]:
                    page = await self._client.v1.checkout.sessions.line_items.list_async(
                        session_id, {"limit": PAGE_SIZE, "expand": ["data.price.product"]}, options
                    )
                    items = [item.to_dict() async for item in page.auto_paging_iter()]
                intent = data.get("payment_intent")
                if intent is None and data.get("payment_status") == PaymentStatus.UNPAID:
                    intent = await self._invoiced_intent(data.get("invoice"), options)
            except stripe.StripeError as error:
                if error.code == "resource_missing":
                    raise SessionUnknownError(
                        f"{VENDOR} knows no such session: request {error.request_id}"
                    ) from error
                raise
            return _session(data, items, intent, account)

    async def _invoiced_intent(
        self,
        invoice_id: str | None,
        options: Any,  # noqa: ANN401 - the SDK's own type is a TypedDict
    ) -> dict[str, Any] | None:
        """The PaymentIntent of a subscription's first invoice; its session names none.

        Source: Stripe's API reference, "Invoice Payment".
        """
        if invoice_id is None:
            return None
        payments = await self._client.v1.invoice_payments.list_async(
            {"invoice": invoice_id, "expand": ["data.payment.payment_intent.payment_method"]},
            options,
        )
        for each in payments.data:
            intent = each.to_dict()["payment"].get("payment_intent")
            if isinstance(intent, dict):
                return intent
        return None


def _session(
    data: Mapping[str, Any],
    items: list[dict[str, Any]],
    intent: Mapping[str, Any] | str | None,
    account: str | None,
) -> CheckoutSession:
    customer = data.get("customer_details") or {}
    totals = data.get("total_details") or {}
    shipping_cost = data.get("shipping_cost") or {}
    presentment = data.get("presentment_details")
    currency = data.get("currency")
    expanded_intent = intent if isinstance(intent, Mapping) else {}

    def money(amount_minor: int | None) -> Money | None:
        if amount_minor is None or currency is None:
            return None
        return Money(amount_minor=amount_minor, currency=currency)

    return CheckoutSession(
        id=data["id"],
        account=account,
        livemode=data["livemode"],
        created=datetime.fromtimestamp(data["created"], UTC),
        mode=CheckoutMode(data["mode"]),
        status=SessionStatus(data["status"]),
        payment_status=PaymentStatus(data["payment_status"]),
        payment_failed=expanded_intent.get("status") in _FAILED_INTENT_STATES,
        subtotal=money(data.get("amount_subtotal")),
        total=money(data.get("amount_total")),
        tax=money(totals.get("amount_tax")),
        shipping=money(totals.get("amount_shipping")),
        shipping_total=money(shipping_cost.get("amount_total")),
        discount=money(totals.get("amount_discount")),
        received=_received(expanded_intent),
        is_reversed=_is_reversed(expanded_intent),
        presentment=Money(
            amount_minor=presentment["presentment_amount"],
            currency=presentment["presentment_currency"],
        )
        if presentment
        else None,
        payment_intent_id=_id_of(intent),
        subscription_id=_id_of(data.get("subscription")),
        payment_link_id=_id_of(data.get("payment_link")),
        payment_method=_payment_method(data, expanded_intent),
        payment_method_types=tuple(data.get("payment_method_types") or ()),
        customer_id=_id_of(data.get("customer")),
        customer_email=customer.get("email") or data.get("customer_email"),
        customer_name=customer.get("name"),
        collected=_collected(data, customer),
        custom_fields=tuple(_custom_field(field) for field in data.get("custom_fields") or ()),
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


def _id_of(reference: Mapping[str, Any] | str | None) -> str | None:
    """The ID of what Stripe may give expanded or not."""
    return reference["id"] if isinstance(reference, Mapping) else reference


def _received(intent: Mapping[str, Any]) -> Money | None:
    if intent.get("status") != "succeeded":
        return None
    return Money(amount_minor=intent["amount_received"], currency=intent["currency"])


def _is_reversed(intent: Mapping[str, Any]) -> bool:
    charge = intent.get("latest_charge")
    if not isinstance(charge, Mapping):
        return False
    return bool(charge["amount_refunded"] or charge["disputed"])


def _payment_method(data: Mapping[str, Any], intent: Mapping[str, Any]) -> PaymentMethod | None:
    """What the customer pays with, by the mode's own object."""
    candidates = (
        intent.get("payment_method"),
        # A failed attempt leaves its method here only.
        (intent.get("last_payment_error") or {}).get("payment_method"),
        (data.get("setup_intent") or {}).get("payment_method"),
        (data.get("subscription") or {}).get("default_payment_method"),
    )
    for method in candidates:
        if isinstance(method, Mapping):
            details = method.get(method["type"]) or {}
            return PaymentMethod(
                type=method["type"],
                brand=details.get("brand") or details.get("bank_name"),
                last4=details.get("last4"),
            )
    # A canceled PaymentIntent may have none at all; a single offer says it all the same.
    offered: list[str] = data.get("payment_method_types") or []
    return PaymentMethod(type=offered[0]) if len(offered) == 1 else None


def _collected(data: Mapping[str, Any], customer: Mapping[str, Any]) -> CollectedDetails:
    collected = data.get("collected_information") or {}
    consent = data.get("consent") or {}
    address = customer.get("address")
    return CollectedDetails(
        phone=customer.get("phone"),
        business_name=collected.get("business_name") or customer.get("business_name"),
        individual_name=collected.get("individual_name") or customer.get("individual_name"),
        billing_address=Address.model_validate(address) if address else None,
        tax_ids=tuple(
            f"{each['type']}:{each['value']}"
            for each in customer.get("tax_ids") or ()
            if each.get("value")
        ),
        tax_exempt=customer.get("tax_exempt"),
        promotions=consent.get("promotions"),
        terms_of_service=consent.get("terms_of_service"),
    )


def _custom_field(field: Mapping[str, Any]) -> CustomField:
    return CustomField(
        key=field["key"],
        label=(field.get("label") or {}).get("custom") or field["key"],
        value=(field.get(field["type"]) or {}).get("value"),
    )


def _line_item(item: Mapping[str, Any]) -> LineItem:
    price = item.get("price") or {}
    product = price.get("product")
    expanded = product if isinstance(product, dict) else {}
    adjustable = item.get("adjustable_quantity") or {}

    def money(name: str) -> Money:
        return Money(amount_minor=item[name], currency=item["currency"])

    return LineItem(
        id=item["id"],
        description=item.get("description") or expanded.get("name") or item["id"],
        # Null where a price is tiered or metered: one of it was bought.
        quantity=item["quantity"] if item.get("quantity") is not None else 1,
        quantity_offer=QuantityOffer(
            minimum=adjustable.get("minimum"), maximum=adjustable.get("maximum")
        )
        if adjustable.get("enabled")
        else None,
        subtotal=money("amount_subtotal"),
        total=money("amount_total"),
        tax=money("amount_tax"),
        discount=money("amount_discount"),
        price_id=price.get("id"),
        product_id=expanded.get("id") if expanded else product,
        # A deleted product comes without metadata.
        product_metadata=expanded.get("metadata") or {},
    )
