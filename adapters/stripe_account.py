"""How a Stripe account is set up: webhook endpoints, payment links, products and events.

For the commands that people run. Orders are fulfilled without any of this.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import stripe

from adapters.stripe_api import API_VERSION, PAGE_SIZE, VENDOR, translated
from domain.errors import MisconfiguredError, PermanentError

MARK = "fulfillment"
"""The metadata key that says what an endpoint of ours is for: Stripe never tells."""
OWN = "own"
CONNECT = "connect"
ALL_EVENTS = "*"
_PERMISSION = re.compile(r"rak_[a-z0-9_]+")
_HTTP_DATE_LENGTH = 29
_MAX_CONCURRENT = 10

_T = TypeVar("_T")


class KeyRefusedError(MisconfiguredError):
    """Stripe does not know the key, or it has been revoked."""

    def __init__(self) -> None:
        super().__init__(f"{VENDOR}_key_refused", f"{VENDOR} refuses the key (401)")


class PermissionMissingError(MisconfiguredError):
    """A restricted key may not do this.

    Args:
        permission: What it lacks, by Stripe's name where Stripe gave one.
    """

    def __init__(self, permission: str) -> None:
        super().__init__(f"{VENDOR}_forbidden", f"the key lacks the permission {permission} (403)")
        self.permission = permission


@dataclass(frozen=True, kw_only=True)
class WebhookEndpoint:
    """A webhook endpoint as Stripe lists it.

    Attributes:
        mark: What it is for, in our own words: `OWN`, `CONNECT`, or None when it was not made
            by `fulfillment setup`.
        events: The event types it is enabled for; `*` stands for all.
        api_version: The version of its events; None is the account's default.
    """

    id: str
    enabled: bool
    events: frozenset[str]
    api_version: str | None
    mark: str | None

    def missing(self, events: Collection[str]) -> list[str]:
        """The types among these that it does not send."""
        return [] if ALL_EVENTS in self.events else sorted(set(events) - self.events)

    def superfluous(self, events: Collection[str]) -> list[str]:
        """The types beside these that it sends."""
        return sorted(self.events - set(events))


@dataclass(frozen=True, kw_only=True)
class EndpointsAtUrl:
    """The webhook endpoints that have one URL, the best one first.

    Attributes:
        own: For events of our own account. One that was not made by `fulfillment setup` counts
            as such: Stripe does not tell which endpoints are Connect ones.
        connect: For events of connected accounts, made by `fulfillment setup`.
    """

    own: tuple[WebhookEndpoint, ...]
    connect: tuple[WebhookEndpoint, ...]


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product as far as it says how it is fulfilled."""

    id: str
    name: str
    active: bool
    metadata: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Price:
    """A price, with what it is the price of."""

    id: str
    active: bool
    recurring: bool
    product: Product


class StripeAccount:
    """Looks at an account and sets it up.

    Every method raises `KeyRefusedError`, `PermissionMissingError`, `PermanentError` with
    Stripe's own sentence, or `TransientError` when Stripe cannot be asked.

    Args:
        client: A client with any secret or restricted key.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self._stripe = client.v1

    async def server_time(self) -> datetime:
        """What time it is at Stripe, to the second: the Date header of an answer."""
        with _asking("Checkout Sessions: read"):
            page = await self._stripe.checkout.sessions.list_async({"limit": 1})
        headers = page.last_response.headers if page.last_response else {}
        # Behind a proxy that adds its own, the last one is the one that was there first.
        return parsedate_to_datetime(headers["date"][-_HTTP_DATE_LENGTH:])

    async def missing_permissions(self, *, all_accounts: bool) -> list[str]:
        """What the key may not read although the service has to.

        Source: Stripe's page "Restricted API keys".

        Args:
            all_accounts: Whether it works for all connected accounts, and so has to list them.
        """
        read = self._stripe
        needed: dict[str, Callable[[Any], Awaitable[object]]] = {
            "Checkout Sessions: read": read.checkout.sessions.list_async,
            "PaymentIntents: read": read.payment_intents.list_async,
            "Charges and Refunds: read": read.refunds.list_async,
            "Disputes: read": read.disputes.list_async,
            "Early fraud warnings: read": read.radar.early_fraud_warnings.list_async,
            "SetupIntents: read": read.setup_intents.list_async,
            "Subscriptions: read": read.subscriptions.list_async,
            "Invoices: read": read.invoices.list_async,
            "Products: read": read.products.list_async,
            "Prices: read": read.prices.list_async,
            "Events: read": read.events.list_async,
        }
        if all_accounts:
            needed["Connected accounts: read"] = read.accounts.list_async

        async def lacking(permission: str, ask: Callable[[Any], Awaitable[object]]) -> str | None:
            try:
                with _asking(permission):
                    await ask({"limit": 1})
            except PermissionMissingError as error:
                return error.permission
            return None

        found = await asyncio.gather(*(lacking(*each) for each in needed.items()))
        return [permission for permission in dict.fromkeys(found) if permission]

    async def endpoints_at(self, url: str) -> EndpointsAtUrl:
        """The webhook endpoints that send to a URL."""
        with _asking("Webhook Endpoints: read"):
            page = await self._stripe.webhook_endpoints.list_async({"limit": PAGE_SIZE})
            found = [_endpoint(each) async for each in page.auto_paging_iter() if each.url == url]
        found.sort(key=lambda endpoint: (endpoint.mark is None, not endpoint.enabled))
        return EndpointsAtUrl(
            own=tuple(each for each in found if each.mark != CONNECT),
            connect=tuple(each for each in found if each.mark == CONNECT),
        )

    async def create_endpoint(
        self, url: str, events: Sequence[str], *, connect: bool
    ) -> tuple[WebhookEndpoint, str]:
        """Creates a webhook endpoint; returns it with its signing secret, told only now.

        Args:
            url: Where it sends to.
            events: The types that it sends.
            connect: Whether it sends events of connected accounts, in place of our own.
        """
        parameters: Any = {
            "url": url,
            "enabled_events": list(events),
            "api_version": API_VERSION,
            "connect": connect,
            "metadata": {MARK: CONNECT if connect else OWN},
            "description": "Order fulfillment",
        }
        with _asking("Webhook Endpoints: write"):
            created = await self._stripe.webhook_endpoints.create_async(parameters)
        return _endpoint(created), created.secret or ""

    async def mend_endpoint(self, endpoint_id: str, events: Sequence[str]) -> None:
        """Enables an endpoint, for exactly these events."""
        parameters: Any = {"enabled_events": list(events), "disabled": False}
        with _asking("Webhook Endpoints: write"):
            await self._stripe.webhook_endpoints.update_async(endpoint_id, parameters)

    async def undelivered(
        self, types: Sequence[str], since: datetime, until: datetime
    ) -> list[datetime]:
        """When the events happened that some endpoint has not accepted, the newest first.

        At most `PAGE_SIZE`, as many as one call gives.
        """
        parameters: Any = {
            "delivery_success": False,
            "types": list(types),
            "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
            "limit": PAGE_SIZE,
        }
        with _asking("Events: read"):
            page = await self._stripe.events.list_async(parameters)
        return [datetime.fromtimestamp(event.created, UTC) for event in page.data]

    async def active_products(self, limit: int) -> list[Product]:
        """The active products, the newest first, at most so many."""
        found: list[Product] = []
        with _asking("Products: read"):
            page = await self._stripe.products.list_async({"active": True, "limit": PAGE_SIZE})
            async for product in page.auto_paging_iter():
                found.append(_product(product.to_dict()))
                if len(found) == limit:
                    break
        return found

    async def products(self, ids: Collection[str]) -> dict[str, Product]:
        """The products of these IDs, by ID, without those that Stripe does not have."""

        async def retrieve(product_id: str) -> Product:
            product = await self._stripe.products.retrieve_async(product_id)
            return _product(product.to_dict())

        return await _each("Products: read", retrieve, ids)

    async def prices(self, ids: Collection[str]) -> dict[str, Price]:
        """The prices of these IDs, by ID, without those that Stripe does not have."""

        async def retrieve(price_id: str) -> Price:
            price = await self._stripe.prices.retrieve_async(price_id, {"expand": ["product"]})
            return _price(price.to_dict())

        return await _each("Prices: read", retrieve, ids)

    async def payment_link(
        self, price_id: str, quantity: int, landing_url: str, ship_to: Sequence[str]
    ) -> str | None:
        """The URL of an active Payment Link as `create_payment_link` makes it, if there is one."""
        with _asking("Payment Links: read"):
            page = await self._stripe.payment_links.list_async(
                {"active": True, "limit": PAGE_SIZE, "expand": ["data.line_items"]}
            )
            async for link in page.auto_paging_iter():
                redirect = link.after_completion.redirect
                items = link.line_items.data if link.line_items else []
                sold = [(item.price.id if item.price else None, item.quantity) for item in items]
                asked = link.shipping_address_collection
                if (
                    (redirect and redirect.url == landing_url)
                    and sold == [(price_id, quantity)]
                    and set(asked.allowed_countries if asked else ()) == set(ship_to)
                ):
                    return link.url
        return None

    async def create_payment_link(
        self, price_id: str, quantity: int, landing_url: str, ship_to: Sequence[str]
    ) -> str:
        """Creates a Payment Link; returns its URL.

        Args:
            price_id: What it sells.
            quantity: How many pieces.
            landing_url: Where Checkout sends the customer after paying.
            ship_to: Countries (ISO 3166-1 alpha-2) to ask a shipping address in; empty asks none.
        """
        parameters: Any = {
            "line_items": [{"price": price_id, "quantity": quantity}],
            "after_completion": {"type": "redirect", "redirect": {"url": landing_url}},
        }
        if ship_to:
            parameters["shipping_address_collection"] = {"allowed_countries": list(ship_to)}
        with _asking("Payment Links: write"):
            link = await self._stripe.payment_links.create_async(parameters)
        return link.url


@contextmanager
def _asking(permission: str) -> Iterator[None]:
    """Tells what the SDK raises in the block in our own tree.

    Args:
        permission: What the key needs for it; Stripe's answer may name it more exactly.
    """
    try:
        yield
    except stripe.AuthenticationError as error:
        raise KeyRefusedError from error
    except stripe.PermissionError as error:
        named = _PERMISSION.search(error.user_message or "")
        raise PermissionMissingError(named[0] if named else permission) from error
    except stripe.InvalidRequestError as error:
        # Stripe's sentence quotes our own parameters, and only people at a terminal see it.
        raise PermanentError(
            f"{VENDOR}_{error.code or 'refused'}", f"{VENDOR} refuses: {error.user_message}"
        ) from error
    except stripe.StripeError as error:
        raise translated(error) from error


async def _each(
    permission: str, retrieve: Callable[[str], Awaitable[_T]], ids: Collection[str]
) -> dict[str, _T]:
    """Retrieves objects side by side, leaving out those that do not exist."""
    slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def one(object_id: str) -> tuple[str, _T] | None:
        async with slots:
            try:
                with _asking(permission):
                    return object_id, await retrieve(object_id)
            except PermanentError as error:
                if error.code == f"{VENDOR}_resource_missing":
                    return None
                raise

    found = await asyncio.gather(*map(one, ids))
    return dict(pair for pair in found if pair is not None)


def _endpoint(endpoint: stripe.WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=endpoint.id,
        enabled=endpoint.status == "enabled",
        events=frozenset(endpoint.enabled_events),
        api_version=endpoint.api_version,
        mark=endpoint.to_dict()["metadata"].get(MARK),
    )


def _product(data: Mapping[str, Any]) -> Product:
    return Product(
        id=data["id"], name=data["name"], active=data["active"], metadata=data["metadata"]
    )


def _price(data: Mapping[str, Any]) -> Price:
    product = data["product"]
    if product.get("deleted"):
        product = {"id": product["id"], "name": product["id"], "active": False, "metadata": {}}
    return Price(
        id=data["id"],
        active=data["active"],
        recurring=data["recurring"] is not None,
        product=_product(product),
    )
