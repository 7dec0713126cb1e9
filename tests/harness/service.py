"""A merchant's own service on a real port, as the kind `webhook` calls it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.ports import free_port
from tests.harness.serving import serving
from tests.harness.world import STANDARD_WEBHOOKS_SECRET

KEY = {"type": "key", "value": "SEAT-12-A", "label": "Your seat"}
FULFILLED = {"status": "fulfilled", "delivered": [KEY]}
PENDING = {"status": "pending"}


@dataclass
class Answer:
    """What the service answers."""

    body: object = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0

    def response(self) -> Response:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return Response(content, self.status, self.headers, "application/json")


class MerchantService:
    """Verifies what it is asked, by the reference library, and answers as it is told.

    Attributes:
        url: Where it is.
        answers: What it says to the next requests; the last one to all that follow.
        asked: The bodies of all requests.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers = [Answer(FULFILLED)]
        self.asked: list[dict[str, Any]] = []

    @property
    def metadata(self) -> dict[str, str]:
        """A product that it fulfills."""
        return {"fulfillment": "webhook", "webhook_url": self.url, "webhook_data": "row=12"}

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        asked = Webhook(STANDARD_WEBHOOKS_SECRET).verify(body, dict(request.headers))
        assert asked["id"] == request.headers["webhook-id"]
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(answer.delay_s)
        return answer.response()


@asynccontextmanager
async def merchant_service() -> AsyncIterator[MerchantService]:
    """Runs one for as long as the block."""
    port = free_port()
    service = MerchantService(f"http://127.0.0.1:{port}/fulfill")
    app = Starlette(routes=[Route("/fulfill", service.receive, methods=["POST"])])
    async with serving({port: app}):
        yield service


def signed(
    call_id: str, body: object, secret: str = STANDARD_WEBHOOKS_SECRET
) -> tuple[bytes, dict[str, str]]:
    """A callback's body and headers, signed by the reference library."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    now = datetime.now(UTC)
    return content, {
        "webhook-id": call_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(call_id, now, content.decode()),
    }


async def call_back(
    api: httpx.AsyncClient, call_id: str, body: object, secret: str = STANDARD_WEBHOOKS_SECRET
) -> httpx.Response:
    """Says to the API what became of a call."""
    content, headers = signed(call_id, body, secret)
    return await api.post(f"/fulfillments/{call_id}", content=content, headers=headers)
