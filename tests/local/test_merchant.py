"""The local merchant keeps the contract that the kind `webhook` is written against."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI, Request
from standardwebhooks import Webhook

from local.merchant.app import create_app
from local.ports import LOCALHOST, free_port
from tests.harness.serving import serving
from tests.harness.world import STANDARD_WEBHOOKS_SECRET, eventually

SIGNER = Webhook(STANDARD_WEBHOOKS_SECRET)


def _headers(body: str, message_id: str, signer: Webhook = SIGNER) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer.sign(message_id, now, body),
    }


@pytest.fixture
async def merchant() -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    async with (
        serving({port: create_app(STANDARD_WEBHOOKS_SECRET)}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}") as client,
    ):
        yield client


async def test_it_takes_an_order_in_hand_and_calls_back_once(merchant: httpx.AsyncClient) -> None:
    heard: list[bytes] = []
    app = FastAPI()

    @app.post("/callback")
    async def callback(request: Request) -> None:
        body = await request.body()
        SIGNER.verify(body, dict(request.headers))
        heard.append(body)

    port = free_port()
    body = json.dumps(
        {
            "type": "fulfillment.requested",
            "data": {
                "callback_url": f"http://{LOCALHOST}:{port}/callback",
                "line_item": {"quantity": 2, "description": "Entry"},
            },
        }
    )
    async with serving({port: app}):
        for _ in range(2):
            answer = await merchant.post(
                "/fulfill", content=body, headers=_headers(body, "call_0000abcdef")
            )
            assert (answer.status_code, answer.json()) == (202, {"status": "pending"})

        async def called() -> bool | None:
            return bool(heard) or None

        await eventually(called)
        await asyncio.sleep(0.2)
    [told] = heard
    assert json.loads(told)["delivered"][0]["value"] == "No. ABCDEF (2 x Entry)"


async def test_it_shows_what_it_was_told(merchant: httpx.AsyncClient) -> None:
    body = json.dumps({"type": "entitlement.granted", "data": {"feature": "course"}})
    answer = await merchant.post("/messages", content=body, headers=_headers(body, "msg_1"))
    assert answer.status_code == 204
    page = (await merchant.get("/")).text
    assert "entitlement.granted" in page
    assert "course" in page


async def test_what_nobody_signed_is_refused(merchant: httpx.AsyncClient) -> None:
    body = json.dumps({"type": "entitlement.granted", "data": {}})
    stranger = Webhook("whsec_" + "A" * 32)
    for headers in ({}, _headers(body, "msg_1", stranger)):
        for path in ("/fulfill", "/messages"):
            assert (await merchant.post(path, content=body, headers=headers)).status_code == 400
    assert "entitlement.granted" not in (await merchant.get("/")).text
