"""docs/entitlements.md: its code runs as it stands, and its messages are those that are sent."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.harness.merchant_app import merchant_app
from tests.harness.shop import ACCESS
from tests.harness.world import APP_TOKEN, STANDARD_WEBHOOKS_SECRET, World

PAGE = (Path(__file__).parents[2] / "docs" / "entitlements.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def documented(replaced: str, by: str) -> dict[str, Any]:
    """What a block of the page defines, with its example value replaced."""
    [block] = [block for block in blocks("python") if replaced in block]
    defined: dict[str, Any] = {}
    exec(block.replace(replaced, by), defined)  # noqa: S102 - our own page
    return defined


async def test_the_applications_code_checks_a_token_offline(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, quantity=4, client_reference_id="doc-reader")
        await world.result(session_id)
    answer = await world.api.get(
        "/entitlements",
        params={"client_reference_id": "doc-reader"},
        headers={"Authorization": f"Bearer {APP_TOKEN}"},
    )
    token = answer.json()["token"]
    seats = documented("https://shop.example.com", world.settings.public_url)["seats"]
    subject = "client_reference_id:doc-reader"
    assert await asyncio.to_thread(seats, token, subject, "course") == 4
    assert await asyncio.to_thread(seats, token, subject, "other") == 0
    with pytest.raises(jwt.InvalidTokenError):
        await asyncio.to_thread(seats, token, "client_reference_id:other", "course")


def test_the_applications_code_verifies_a_webhook() -> None:
    receive = documented("whsec_…", STANDARD_WEBHOOKS_SECRET)["receive"]
    now = datetime.now(UTC)
    body = '{"type": "stock.low", "data": {}}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(STANDARD_WEBHOOKS_SECRET).sign("msg_1", now, body),
    }
    assert receive(body.encode(), headers)["type"] == "stock.low"
    with pytest.raises(WebhookVerificationError):
        receive(body.replace("low", "out").encode(), headers)


async def test_the_example_of_a_message_has_the_fields_that_are_sent(world: World) -> None:
    async with merchant_app(world) as app, app.world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
        await app.ended((await app.message_of(session_id)).id)
    [told] = app.told
    [example] = [json.loads(block) for block in blocks("json") if "timestamp" in block]
    assert set(example) == set(told.body)
    assert set(example["data"]) == set(told.body["data"])
    assert set(example["data"]["customer"]) == set(told.body["data"]["customer"])
