"""The merchant's own service, which outlives all faults: it answers at once, or calls back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from typing import Any

import httpx
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.faults import Faults
from local.ports import LOCALHOST, free_port
from tests.harness.serving import serving

CALL_BACK_EVERY_S = 1.0
"""It tries until somebody has taken its word."""


def ticket(call_id: str) -> str:
    """What the customer gets for one call."""
    return f"TICKET-{call_id.removeprefix('call_')}"


@dataclass
class Merchant:
    """What it has done.

    Attributes:
        url: Where it is asked.
        webhook: Verifies what it is asked, and signs what it calls back.
        http: For its callbacks.
        sold: The Checkout Session of each call that it has fulfilled, by the call's ID.
        faults: What goes wrong with it; it can be told to be slow, or to fail.
        failed: How often it has failed because of that.
        asked: How often it was asked.
    """

    url: str
    webhook: Webhook
    http: httpx.AsyncClient
    sold: dict[str, str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    failed: int = 0
    asked: int = 0
    _calling: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    async def fulfill(self, request: Request) -> Response:
        """Answers one request; the same one again is answered how far it is."""
        body = await request.body()
        asked = self.webhook.verify(body, dict(request.headers))
        self.asked += 1
        await self.faults.delay()
        if status := self.faults.take():
            self.failed += 1
            return Response(status_code=status)
        call_id = asked["id"]
        if call_id not in self.sold:
            self.sold[call_id] = asked["data"]["session_id"]
            if next(self._numbers) % 2:
                callback = self._call_back(call_id, asked["data"]["callback_url"])
                self._calling[call_id] = asyncio.create_task(callback)
        if call_id in self._calling and not self._calling[call_id].done():
            return JSONResponse({"status": "pending"}, HTTPStatus.ACCEPTED)
        return JSONResponse(_fulfilled(call_id))

    async def _call_back(self, call_id: str, url: str) -> None:
        body = json.dumps(_fulfilled(call_id))
        while True:
            await asyncio.sleep(CALL_BACK_EVERY_S)
            now = datetime.now(UTC)
            headers = {
                "webhook-id": call_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": self.webhook.sign(call_id, now, body),
            }
            try:
                answer = await self.http.post(url, content=body, headers=headers)
            except httpx.HTTPError:
                continue
            if answer.is_success:
                return

    def close(self) -> None:
        """Ends what is still calling."""
        for task in self._calling.values():
            task.cancel()


def _fulfilled(call_id: str) -> dict[str, Any]:
    delivered = [{"type": "key", "value": ticket(call_id), "label": "Your ticket"}]
    return {"status": "fulfilled", "delivered": delivered}


@asynccontextmanager
async def open_merchant(secret: str) -> AsyncIterator[Merchant]:
    """Runs it for as long as the block; it verifies and signs with the secret, `whsec_…`."""
    port = free_port()
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        merchant = Merchant(f"http://{LOCALHOST}:{port}/fulfill", Webhook(secret), http)
        app = Starlette(routes=[Route("/fulfill", merchant.fulfill, methods=["POST"])])
        async with serving({port: app}):
            try:
                yield merchant
            finally:
                merchant.close()
