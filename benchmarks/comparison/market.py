"""Customers of all systems: what they buy at the Stripe emulator, and which mails they get."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import stripe

from benchmarks.outside import Outside
from benchmarks.pace import Submitted, at_most
from benchmarks.service import COMPLETED, DUPLICATE_EVERY, PRODUCT
from settings import Settings

PAGE_SIZE = 100
AT_ONCE = 8
LISTEN_S = 10
KEEP_ALIVE_S = 2
"""Less than the servers keep an idle connection: a webhook must not meet one that just closes."""
RESEND_S = 0.2
"""After a failure; Stripe itself waits for minutes."""


@dataclass(frozen=True)
class Sold:
    """A paid order.

    Attributes:
        session_id: Its Checkout Session's.
        email: Its customer's, who has no other order.
        webhook: What Stripe sends.
    """

    session_id: str
    email: str
    webhook: str


class Market:
    """Sells, and hands the webhooks in.

    Args:
        settings: Where Stripe and the carrier are.
        inbox_url: Where the mail inbox answers questions.
        outside: Sets how late all three answer.
    """

    def __init__(self, settings: Settings, inbox_url: str, outside: Outside) -> None:
        self._stripe_url = settings.stripe_api_base
        self._key = settings.stripe_api_key.get_secret_value()
        self._secret = settings.stripe_webhook_secrets[0].get_secret_value()
        self._inbox_url = inbox_url
        self._carrier_url = settings.carrier_url
        self._outside = outside
        self._http = httpx.AsyncClient(
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEP_ALIVE_S),
        )
        self._numbers = iter(range(1, 1_000_000))

    async def close(self) -> None:
        """Lets go of its connections."""
        await self._http.aclose()

    async def sell(self, count: int) -> list[Sold]:
        """Has sessions paid without a webhook being sent.

        Stripe forgets all that was sold before, and the mail inbox its mails: what has grown
        would answer later to the systems whose turns come last.
        """
        (await self._http.post(f"{self._stripe_url}/_emulator/reset", json={})).raise_for_status()
        (await self._http.delete(f"{self._inbox_url}/api/messages")).raise_for_status()
        await self._outside.slow_down()
        price = (await self._stripe(f"products/{PRODUCT}"))["default_price"]

        async def buy(email: str) -> None:
            bought = await self._http.post(
                f"{self._stripe_url}/_emulator/purchases",
                json={
                    "line_items": [{"price": price, "quantity": 1}],
                    "email": email,
                    "deliver": False,
                },
            )
            bought.raise_for_status()

        emails = [f"customer-{next(self._numbers)}@example.com" for _ in range(count)]
        await at_most(AT_ONCE, buy, emails)
        return [
            Sold(
                session_id=event["data"]["object"]["id"],
                email=event["data"]["object"]["customer_details"]["email"],
                webhook=json.dumps(event),
            )
            async for event in self._events()
        ]

    async def send(self, url: str, order: Sold, copies: int, *, patience_s: float) -> Submitted:
        """Sends an order's webhook so many times at once, each until it is taken.

        Args:
            url: The system's endpoint.
            order: Of which order.
            copies: How often.
            patience_s: How long failures are sent again.
        """
        sent_at = time.time()
        acks_ms = await asyncio.gather(
            *(self._deliver(url, order.webhook, patience_s) for _ in range(copies))
        )
        return Submitted(order.session_id, sent_at, tuple(acks_ms))

    async def mails(self, skip: int) -> list[dict[str, Any]]:
        """The mails that have come in after the `skip` first, once there is one or time is over."""
        listed = await self._http.get(
            f"{self._inbox_url}/api/messages", params={"skip": skip, "wait_s": LISTEN_S}
        )
        listed.raise_for_status()
        mails: list[dict[str, Any]] = listed.json()["messages"]
        return mails[::-1]

    async def parcels(self) -> list[dict[str, Any]]:
        """All parcels that were ever booked."""
        booked = await self._http.get(f"{self._carrier_url}/shipments")
        booked.raise_for_status()
        parcels: list[dict[str, Any]] = booked.json()["shipments"]
        return parcels

    async def _deliver(self, url: str, webhook: str, patience_s: float) -> float:
        signature = stripe.WebhookSignature.generate_signature_header(webhook, self._secret)
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
        begun = time.perf_counter()
        while True:
            try:
                answer = await self._http.post(url, content=webhook, headers=headers)
                answer.raise_for_status()
            except httpx.HTTPError:
                if time.perf_counter() - begun > patience_s:
                    raise
                await asyncio.sleep(RESEND_S)
            else:
                return (time.perf_counter() - begun) * 1000

    async def _events(self) -> Any:  # noqa: ANN401 - a generator of Stripe's JSON
        last: str | None = None
        while True:
            after = {"starting_after": last} if last else {}
            page = await self._stripe("events", {"type": COMPLETED, "limit": PAGE_SIZE} | after)
            for event in page["data"]:
                yield event
                last = event["id"]
            if not page["has_more"]:
                return

    async def _stripe(self, path: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - Stripe's JSON
        answer = await self._http.get(
            f"{self._stripe_url}/v1/{path}",
            params=params,
            headers={"Authorization": f"Bearer {self._key}"},
        )
        answer.raise_for_status()
        return answer.json()


class Turn:
    """The orders of one system's turn, and what became of them.

    Args:
        market: Has sold them.
        url: The system's webhook endpoint.
        orders: All of them.

    Attributes:
        mails: When each mail came in, in seconds since 1970, by the customer's address.
    """

    def __init__(self, market: Market, url: str, orders: Sequence[Sold]) -> None:
        self._market = market
        self._url = url
        self._by_session = {order.session_id: order for order in orders}
        self._left: Iterator[tuple[int, Sold]] = iter(enumerate(orders))
        self._came: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.mails: defaultdict[str, list[float]] = defaultdict(list)
        self.resend_s = 0.0
        """How long webhooks that fail are sent again; 0: a failure ends the run."""

    async def submit(self) -> Submitted:
        """Sends the next order's webhook, some of them twice."""
        number, order = next(self._left)
        copies = 2 if number % DUPLICATE_EVERY == 0 else 1
        return await self._market.send(self._url, order, copies, patience_s=self.resend_s)

    async def finish(self, session_id: str) -> None:
        """Waits for the customer's mail."""
        await self._came[self._by_session[session_id].email].wait()

    def mailed_at(self, session_id: str) -> Sequence[float]:
        """When the customer got mails."""
        return self.mails.get(self._by_session[session_id].email, ())

    async def listen(self) -> None:
        """Notes mails as they come, for ever."""
        seen = 0
        while True:
            for mail in await self._market.mails(seen):
                seen += 1
                [recipient] = mail["recipients"]
                at = datetime.fromisoformat(mail["received_at"]).timestamp()
                self.mails[recipient].append(at)
                self._came[recipient].set()
