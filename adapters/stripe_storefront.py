"""Opening Checkout Sessions through Stripe's SDK: new ones, and those that replace lost ones."""

import asyncio
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import stripe

from adapters.stripe_api import PAGE_SIZE, on_account, reading, translated
from domain.catalog import Catalog
from domain.checkout import CheckoutMode, CheckoutSession, PaymentStatus, SessionStatus
from domain.errors import PermanentError, TransientError
from domain.storefront import (
    REPLACES,
    CheckoutRefusedError,
    KeyReusedError,
    NewCheckout,
    OpenedCheckout,
    Replacement,
    SalePrice,
)

_MAX_CONCURRENT = 10
_BUSY_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""How long to wait for another request under the same key, which Stripe answers with 409."""
_MAX_KEYS = 10
"""How many keys of refused tries to replace one session are stepped over."""
_KEPT = (
    "allow_promotion_codes",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "custom_text",
    "locale",
    "mode",
    "name_collection",
    "phone_number_collection",
    "shipping_address_collection",
    "submit_type",
    "tax_id_collection",
)
"""What a session says of itself just as it is said when one is created."""
_KEPT_OF_INTENT = (
    "application_fee_amount",
    "description",
    "metadata",
    "on_behalf_of",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)
"""The same of its PaymentIntent: who gets the money, and how it is named in statements."""
_KEPT_OF_RATE = (
    "delivery_estimate",
    "display_name",
    "metadata",
    "tax_behavior",
    "tax_code",
    "type",
)


_KEPT_OF_PRODUCT = ("description", "images", "tax_code", "unit_label")


class StripeStorefront:
    """See `domain.storefront.Checkouts`.

    Args:
        client: A client whose key may read prices and products, and read and write Checkout
            Sessions.
        catalog: What is sold again as a copy, since its price is no longer active, is not in
            the catalog: the copy's metadata say what the catalog says.
    """

    def __init__(self, client: stripe.StripeClient, catalog: Catalog) -> None:
        self._stripe = client.v1
        self._sessions = client.v1.checkout.sessions
        self._catalog = catalog

    async def prices(self, price_ids: Collection[str]) -> dict[str, SalePrice]:
        """See `domain.storefront.Checkouts`; one call for each, since no list takes IDs."""
        slots = asyncio.Semaphore(_MAX_CONCURRENT)

        async def one(price_id: str) -> SalePrice | None:
            async with slots:
                with reading("a price"):
                    try:
                        price = await self._stripe.prices.retrieve_async(
                            price_id, {"expand": ["product"]}
                        )
                    except stripe.StripeError as error:
                        if error.code == "resource_missing":
                            return None
                        raise
                    return _sale_price(price.to_dict())

        found = await asyncio.gather(*map(one, set(price_ids)))
        return {price.id: price for price in found if price is not None}

    async def open(self, checkout: NewCheckout, idempotency_key: str | None) -> OpenedCheckout:
        """See `domain.storefront.Checkouts`."""
        options: Any = {"idempotency_key": idempotency_key} if idempotency_key else {}
        try:
            session = await self._create(_new_parameters(checkout), options)
        except stripe.IdempotencyError as error:
            raise KeyReusedError from error
        except stripe.StripeError as error:
            raise _refusal(error) from error
        return OpenedCheckout(id=session.id, url=session.url, client_secret=session.client_secret)

    async def replacements(self, session: CheckoutSession) -> dict[str, Replacement]:
        """See `domain.storefront.Checkouts`.

        Source: Stripe's API reference, "List all Checkout Sessions".
        """
        parameters: Any = {
            "created": {"gte": int(session.created.timestamp())},
            "limit": PAGE_SIZE,
        }
        if session.customer_id is not None:
            parameters["customer"] = session.customer_id
        elif session.customer_email is not None:
            parameters["customer_details"] = {"email": session.customer_email}
        else:
            return {}
        found: dict[str, Replacement] = {}
        with reading("a list of sessions"):
            page = await self._sessions.list_async(parameters, on_account(session.account))  # type: ignore[arg-type]
            async for each in page.auto_paging_iter():
                data = each.to_dict()
                replaced = (data.get("metadata") or {}).get(REPLACES)
                if replaced is not None:
                    # The newest comes first, and stays.
                    found.setdefault(replaced, _replacement(data))
        return found

    async def replace(self, session: CheckoutSession, landing_url: str) -> str:
        """See `domain.storefront.Checkouts`.

        The key is made of the session's ID, so that whoever asks at the same time gets the
        same session. Stripe keeps a refusal under its key, too: when it answers with an old
        one, or when what was bought has changed since, the next key is taken.
        """
        parameters = await self._replacing_parameters(session, landing_url)
        attempt = 0
        while True:
            options: Any = {
                "idempotency_key": f"try-again:{session.id}:{attempt}",
                **on_account(session.account),
            }
            try:
                return (await self._create(parameters, options)).id
            except stripe.StripeError as error:
                is_old = isinstance(error, stripe.IdempotencyError) or _is_replayed(error)
                if not is_old or attempt == _MAX_KEYS:
                    raise _refusal(error) from error
            attempt += 1

    async def _create(
        self,
        parameters: Any,  # noqa: ANN401 - the SDK's own type is a TypedDict
        options: Any,  # noqa: ANN401 - as above
    ) -> stripe.checkout.Session:
        """Creates a session, after another request under the same key if there is one.

        Source: Stripe's API reference, "Idempotent requests".
        """
        for pause_s in _BUSY_PAUSES_S:
            try:
                return await self._sessions.create_async(parameters, options)
            except stripe.StripeError as error:
                if error.http_status != HTTPStatus.CONFLICT:
                    raise
            await asyncio.sleep(pause_s)
        return await self._sessions.create_async(parameters, options)

    async def _replacing_parameters(
        self, session: CheckoutSession, landing_url: str
    ) -> dict[str, Any]:
        options: Any = on_account(session.account)
        with reading("the session"):
            old = await self._sessions.retrieve_async(
                session.id,
                {"expand": ["payment_intent", "shipping_options.shipping_rate"]},
                options,
            )
            page = await self._sessions.line_items.list_async(
                session.id,
                {"limit": PAGE_SIZE, "expand": ["data.price.product", "data.taxes"]},
                options,
            )
            items = [item.to_dict() async for item in page.auto_paging_iter()]
            data = old.to_dict()
            if not items:
                raise CheckoutRefusedError("nothing_to_pay", "nothing is bought in this session")
            customer = (
                {"customer": session.customer_id}
                if session.customer_id
                else {"customer_email": session.customer_email}
            )
            return _sent(
                {
                    **_again(data),
                    **customer,
                    "line_items": [self._item_again(item, data) for item in items],
                    "metadata": {**(data.get("metadata") or {}), REPLACES: session.id},
                    "success_url": landing_url,
                }
            )

    def _item_again(self, item: Mapping[str, Any], session: Mapping[str, Any]) -> dict[str, Any]:
        price = item["price"]
        again = {
            "quantity": item["quantity"],
            "adjustable_quantity": item.get("adjustable_quantity"),
            "metadata": item.get("metadata"),
        }
        if not session["automatic_tax"]["enabled"]:
            again["tax_rates"] = [tax["rate"]["id"] for tax in item.get("taxes") or ()]
        if price["active"] and price["product"].get("active"):
            again["price"] = price["id"]
        else:
            again["price_data"] = self._price_again(item)
        return again

    def _price_again(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The price of an item as one made for it: of old prices, and of those made inline."""
        price, product = item["price"], item["price"]["product"]
        recurring = price.get("recurring") or {}
        if (
            price["billing_scheme"] != "per_unit"
            or price.get("transform_quantity")
            or recurring.get("usage_type") == "metered"
        ):
            raise CheckoutRefusedError("no_longer_sold", "what was bought is no longer sold")
        return {
            "currency": price["currency"],
            **_amount_again(item),
            "recurring": {name: recurring.get(name) for name in ("interval", "interval_count")},
            "tax_behavior": price.get("tax_behavior"),
            "product_data": {
                **{name: product.get(name) for name in _KEPT_OF_PRODUCT},
                "name": product.get("name") or item["description"],
                "metadata": {
                    **(product.get("metadata") or {}),
                    **self._catalog.as_metadata(price["id"], product["id"]),
                },
            },
        }


def _new_parameters(checkout: NewCheckout) -> dict[str, Any]:
    options, basket = checkout.options, checkout.basket
    parameters: dict[str, Any] = {
        "mode": basket.mode,
        "line_items": [
            {"price": price_id, "quantity": quantity} for price_id, quantity in basket.items
        ],
        "locale": checkout.locale,
        "customer_email": checkout.customer_email,
        "client_reference_id": checkout.client_reference_id,
        "metadata": dict(checkout.metadata),
        "allow_promotion_codes": options.allow_promotion_codes or None,
        "automatic_tax": {"enabled": True} if options.automatic_tax else None,
        "phone_number_collection": {"enabled": True} if options.phone_number else None,
    }
    if checkout.is_embedded:
        parameters |= {"ui_mode": "embedded_page", "return_url": checkout.landing_url}
    else:
        parameters |= {
            "ui_mode": "hosted_page",
            "success_url": checkout.landing_url,
            "cancel_url": options.cancel_url,
        }
    if basket.is_shipped:
        parameters["shipping_address_collection"] = {
            "allowed_countries": list(options.shipping_countries)
        }
        if basket.mode is CheckoutMode.PAYMENT:
            parameters["shipping_options"] = [
                {"shipping_rate": rate} for rate in options.shipping_rates
            ]
    return _sent(parameters)


def _amount_again(item: Mapping[str, Any]) -> dict[str, Any]:
    price = item["price"]
    if price.get("custom_unit_amount"):
        # The customer chose it, of a quantity that is always one.
        return {"unit_amount": item["amount_subtotal"]}
    if price["unit_amount"] is not None:
        return {"unit_amount": price["unit_amount"]}
    return {"unit_amount_decimal": price["unit_amount_decimal"]}


def _again(old: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same in the session that replaces one, its items and its customer aside.

    Payment methods are not kept: Stripe offers what suits, and the one that failed may not.
    """
    tax = old["automatic_tax"]
    parameters = {
        **{name: old.get(name) for name in _KEPT},
        "ui_mode": "hosted_page",
        "automatic_tax": {"enabled": tax["enabled"], "liability": tax.get("liability")},
        "custom_fields": [_custom_field(field) for field in old.get("custom_fields") or ()],
        "shipping_options": [
            _shipping_option(option["shipping_rate"]) for option in old["shipping_options"]
        ],
    }
    if old["mode"] == CheckoutMode.PAYMENT:
        parameters["payment_intent_data"] = _intent_data(old.get("payment_intent"))
        if (old.get("invoice_creation") or {}).get("enabled"):
            parameters["invoice_creation"] = old["invoice_creation"]
        if not old.get("customer"):
            parameters["customer_creation"] = old.get("customer_creation")
    if not old.get("allow_promotion_codes"):
        # What the merchant took off; a customer's own code is typed again.
        parameters["discounts"] = [_discount(each) for each in old.get("discounts") or ()]
    if old.get("customer"):
        parameters["customer_update"] = _customer_update(old)
    return parameters


def _customer_update(old: Mapping[str, Any]) -> dict[str, str]:
    """What Stripe wants to be allowed for a known customer, so that it can tax them."""
    wanted = {
        "address": old["automatic_tax"]["enabled"],
        "shipping": old["automatic_tax"]["enabled"] and old.get("shipping_address_collection"),
        "name": (old.get("tax_id_collection") or {}).get("enabled"),
    }
    return {name: "auto" for name, needed in wanted.items() if needed}


def _discount(discount: Mapping[str, Any]) -> dict[str, str]:
    name = "promotion_code" if discount.get("promotion_code") else "coupon"
    return {name: discount[name]}


def _custom_field(field: Mapping[str, Any]) -> dict[str, Any]:
    kind = field["type"]
    details = {name: value for name, value in field[kind].items() if name != "value"}
    return {
        "key": field["key"],
        "label": {"type": "custom", "custom": field["label"]["custom"]},
        "optional": field["optional"],
        "type": kind,
        kind: details,
    }


def _shipping_option(rate: Mapping[str, Any]) -> dict[str, Any]:
    """A rate that is still there, or a copy of one that is not."""
    if rate["active"]:
        return {"shipping_rate": rate["id"]}
    fixed = rate["fixed_amount"]
    return {
        "shipping_rate_data": {
            **{name: rate.get(name) for name in _KEPT_OF_RATE},
            "fixed_amount": {"amount": fixed["amount"], "currency": fixed["currency"]},
        }
    }


def _intent_data(intent: Mapping[str, Any] | None) -> dict[str, Any]:
    if intent is None:
        return {}
    transfer = intent.get("transfer_data") or {}
    return {
        **{name: intent.get(name) for name in _KEPT_OF_INTENT},
        "transfer_data": {
            "destination": transfer.get("destination"),
            "amount": transfer.get("amount"),
        },
    }


def _sent(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without those that say nothing, at any depth."""
    said = {name: _said(value) for name, value in parameters.items()}
    return {name: value for name, value in said.items() if value not in (None, {}, [])}


def _said(value: Any) -> Any:  # noqa: ANN401 - a parameter of any form
    if isinstance(value, Mapping):
        return _sent(value)
    return [_said(inner) for inner in value] if isinstance(value, list) else value


def _sale_price(data: Mapping[str, Any]) -> SalePrice:
    recurring = data.get("recurring") or {}
    return SalePrice(
        id=data["id"],
        product_id=data["product"]["id"],
        active=data["active"] and data["product"].get("active", False),
        recurring=bool(recurring),
        metered=recurring.get("usage_type") == "metered",
    )


def _replacement(data: Mapping[str, Any]) -> Replacement:
    return Replacement(
        id=data["id"],
        is_settled=data["status"] == SessionStatus.COMPLETE
        and data["payment_status"] != PaymentStatus.UNPAID,
    )


def _refusal(error: stripe.StripeError) -> PermanentError | TransientError:
    if isinstance(error, stripe.InvalidRequestError):
        return CheckoutRefusedError(
            error.code or "refused", f"Stripe refuses it: {error.user_message}"
        )
    return translated(error)


def _is_replayed(error: stripe.StripeError) -> bool:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return headers.get("idempotent-replayed") == "true"
