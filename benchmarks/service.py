"""The product: orders are sold at the Stripe emulator and handed in as signed webhooks."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import stripe

from api.events import handled_events
from benchmarks.pace import Submitted
from settings import Settings

PRODUCT = "prod_SampleBook"
"""A bundle of the sample shop: it gives access, and is shipped."""
SKU = "BOOK-PRINT"
EXPANDED = ["line_items.data.price.product", "payment_intent.payment_method"]
"""What the product asks for with a session, as far as it costs Stripe something here."""
COMPLETED = "checkout.session.completed"
PAGE_SIZE = 100
DUPLICATE_EVERY = 10
"""Each tenth webhook is delivered twice, both at the same moment."""


@dataclass(frozen=True)
class Webhook:
    """What Stripe would send of one order.

    Attributes:
        session_id: Whose.
        body: As it is signed.
    """

    session_id: str
    body: str


class Service:
    """A load generator in front of the API.

    Args:
        settings: Where everything is.
    """

    name = "ours"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = settings.stripe_webhook_secrets[0].get_secret_value()
        self._http = httpx.AsyncClient(
            timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)
        )
        self._stripe_http = stripe.HTTPXClient()
        self._stripe = stripe.StripeClient(
            settings.stripe_api_key.get_secret_value(),
            base_addresses={"api": settings.stripe_api_base},
            http_client=self._stripe_http,
        ).v1
        self._webhooks: Iterator[tuple[int, Webhook]] = iter(())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()
        await self._stripe_http.close_async()  # type: ignore[no-untyped-call]

    async def subscribe(self) -> None:
        """Has Stripe send the events that `fulfillment setup` registers for, and no others."""
        wanted: Any = list(handled_events())
        endpoints = await self._stripe.webhook_endpoints.list_async()
        async for endpoint in endpoints.auto_paging_iter():
            await self._stripe.webhook_endpoints.update_async(
                endpoint.id, {"enabled_events": wanted}
            )

    async def sell(self, count: int) -> str:
        """Has sessions paid without a webhook being sent, and keeps the webhooks to send.

        Returns:
            The ID of one of the sessions.
        """
        await self._buy(count, deliver=False)
        events = await self._stripe.events.list_async({"type": COMPLETED, "limit": PAGE_SIZE})
        webhooks = [
            Webhook(str(event.data.object["id"]), json.dumps(event.to_dict()))
            async for event in events.auto_paging_iter()
        ]
        self._webhooks = iter(enumerate(webhooks))
        return webhooks[0].session_id

    async def sell_delayed(self, count: int) -> list[str]:
        """Has sessions paid by bank debit, with their webhooks; returns their IDs.

        Call it after `sell`, which takes all webhooks that there are for its own.
        """
        debit = {"allowed_payment_method_types": ["us_bank_account"]}
        return await self._buy(count, method="bank_debit", session=debit)

    async def settle(self, session_id: str) -> None:
        """Has a bank debit arrive, and its webhook sent."""
        url = f"{self._settings.stripe_api_base}/_emulator/sessions/{session_id}/settle"
        (await self._http.post(url)).raise_for_status()

    async def submit(self) -> Submitted:
        """Sends the next order's webhook, some of them twice."""
        number, webhook = next(self._webhooks)
        copies = 2 if number % DUPLICATE_EVERY == 0 else 1
        sent_at = time.time()
        acks_ms = await asyncio.gather(*(self._acknowledged(webhook) for _ in range(copies)))
        return Submitted(webhook.session_id, sent_at, tuple(acks_ms))

    def next_webhook(self) -> Webhook:
        """The next order's webhook, for the caller to send."""
        _, webhook = next(self._webhooks)
        return webhook

    async def send(self, webhook: Webhook) -> httpx.Response:
        """Sends one webhook, signed now; returns whatever is answered."""
        return await self._http.post(
            f"{self._settings.public_url}/webhook",
            content=webhook.body,
            headers={
                "Stripe-Signature": stripe.WebhookSignature.generate_signature_header(
                    webhook.body, self._secret
                ),
                "Content-Type": "application/json",
            },
        )

    async def _buy(self, count: int, **how: Any) -> list[str]:  # noqa: ANN401 - the emulator's
        product = await self._stripe.products.retrieve_async(PRODUCT)
        bought = await self._http.post(
            f"{self._settings.stripe_api_base}/_emulator/purchases",
            json={
                "count": count,
                "line_items": [{"price": product.default_price, "quantity": 1}],
                **how,
            },
        )
        bought.raise_for_status()
        return list(bought.json()["sessions"])

    async def _acknowledged(self, webhook: Webhook) -> float:
        """Sends one webhook; returns after how many milliseconds the 2xx was there."""
        begun = time.perf_counter()
        (await self.send(webhook)).raise_for_status()
        return (time.perf_counter() - begun) * 1000
