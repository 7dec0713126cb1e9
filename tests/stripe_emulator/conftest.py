import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stripe_emulator import EmulatorConfig, create_app

API_KEY = "sk_test_emulator0123456789"
SECRET = "whsec_tests"
TIME_SCALE = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """An application on a port of this machine, in a thread of its own."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self) -> "Server":
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes
    at: float

    def event(self, secret: str = SECRET) -> stripe.Event:
        event: stripe.Event = stripe.Webhook.construct_event(
            self.body, self.headers["stripe-signature"], secret
        )
        return event


@dataclass
class Inbox:
    """A merchant's webhook endpoint: keeps what comes and answers with the given statuses."""

    url: str
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Answers to the next requests; 200 when used up."""
    delay_s: float = 0.0

    def types(self) -> list[str]:
        return [one.event().type for one in self.received]

    async def wait_for_any(self, count: int = 1) -> list[Received]:
        """Whatever has come, once there is so much; a moment later, so that more would show."""
        deadline = time.monotonic() + 10
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"only {len(self.received)} came"
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        return list(self.received)

    async def wait_for(self, event_type: str, count: int = 1) -> list[Received]:
        deadline = time.monotonic() + 10
        while True:
            found = [one for one in self.received if one.event().type == event_type]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{event_type} did not come: {self.types()}"
            await asyncio.sleep(0.02)

    def app(self) -> Starlette:
        async def take(request: Request) -> Response:
            body = await request.body()
            self.received.append(Received(dict(request.headers), body, time.time()))
            status = self.statuses.pop(0) if self.statuses else 200
            await asyncio.sleep(self.delay_s)
            return Response(
                None if status == 204 else "taken",
                status,
                {"Location": "/elsewhere"} if status == 302 else None,
            )

        async def land(request: Request) -> Response:
            return Response(f"landed {request.url.query}", media_type="text/plain")

        return Starlette(
            routes=[Route("/webhook", take, methods=["POST"]), Route("/landing", land)]
        )


@dataclass
class Control:
    """The control API of the emulator under test."""

    http: httpx.AsyncClient

    async def post(self, path: str, /, **body: object) -> dict[str, Any]:
        response = await self.http.post(f"/_emulator{path}", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def settled_deliveries(self) -> list[dict[str, Any]]:
        """All deliveries, the newest first, once none is under way."""
        deadline = time.monotonic() + 10
        while True:
            deliveries = await self.deliveries()
            if all(one["state"] != "pending" for one in deliveries):
                return deliveries
            assert time.monotonic() < deadline, "deliveries are still under way"
            await asyncio.sleep(0.02)

    async def delivery_waits(self, attempts: int) -> None:
        """Wait until the newest delivery has been tried so often and pauses before the next."""
        deadline = time.monotonic() + 10
        while True:
            newest = next(iter(await self.deliveries()), None)
            if newest and len(newest["attempts"]) == attempts and newest["next_attempt_at"]:
                return
            assert time.monotonic() < deadline, f"no pause after attempt {attempts}: {newest}"
            await asyncio.sleep(0.02)

    async def deliveries(self) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = (await self.http.get("/_emulator/deliveries")).json()["data"]
        return data


@pytest.fixture(scope="session")
def inbox_server() -> Iterator[Inbox]:
    port = free_port()
    inbox = Inbox(url=f"http://127.0.0.1:{port}/webhook")
    with Server(inbox.app(), port):
        yield inbox


@pytest.fixture(scope="session")
def base_url(inbox_server: Inbox) -> Iterator[str]:
    app = create_app(
        EmulatorConfig(
            api_key=API_KEY,
            webhook_url=inbox_server.url,
            webhook_secret=SECRET,
            success_url=inbox_server.url.replace("/webhook", "/landing")
            + "?session_id={CHECKOUT_SESSION_ID}",
            time_scale=TIME_SCALE,
        )
    )
    with Server(app, free_port()) as server:
        yield server.url


@pytest.fixture
async def control(base_url: str) -> AsyncIterator[Control]:
    """The control API; the emulator forgets everything before each test."""
    async with httpx.AsyncClient(base_url=base_url, timeout=30) as http:
        control = Control(http)
        await control.post("/reset")
        yield control


@pytest.fixture
def inbox(inbox_server: Inbox, control: Control) -> Inbox:
    assert control is not None
    inbox_server.received.clear()
    inbox_server.statuses.clear()
    inbox_server.delay_s = 0.0
    return inbox_server


@pytest.fixture
def client(base_url: str, control: Control) -> stripe.StripeClient:
    assert control is not None
    return stripe.StripeClient(API_KEY, base_addresses={"api": base_url})


@dataclass
class Shop:
    """Shorthand for what most tests need."""

    client: stripe.StripeClient

    def price(self, amount: int = 2000, currency: str = "usd", **product: object) -> str:
        made = self.client.v1.products.create({"name": "T-shirt", **product})  # type: ignore[typeddict-item]
        price = self.client.v1.prices.create(
            {"product": made.id, "currency": currency, "unit_amount": amount}
        )
        return price.id

    def session(self, **params: object) -> stripe.checkout.Session:
        if params.get("mode") != "setup":
            params.setdefault("line_items", [{"price": self.price(), "quantity": 2}])
        everything: Any = {
            "mode": "payment",
            "success_url": "https://example.com/after?session_id={CHECKOUT_SESSION_ID}",
            **params,
        }
        return self.client.v1.checkout.sessions.create(everything)


@pytest.fixture
def shop(client: stripe.StripeClient) -> Shop:
    return Shop(client)
