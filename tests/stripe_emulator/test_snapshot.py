"""The snapshot file brings everything back, and is written beside the work."""

import asyncio
import json
import os
from pathlib import Path

import httpx
import pytest
import stripe

from stripe_emulator import EmulatorConfig, create_app, emulator

from .conftest import API_KEY, SECRET, Control, Inbox, Server, Shop, free_port


async def test_a_snapshot_brings_sessions_and_scheduled_ends_back(
    tmp_path: Path, inbox: Inbox, control: Control
) -> None:
    assert control is not None
    config = EmulatorConfig(
        api_key=API_KEY,
        snapshot=tmp_path / "deep" / "state.json",
        webhook_url=inbox.url,
        webhook_secret=SECRET,
        time_scale=2,
    )
    with Server(create_app(config), free_port()) as server:
        client = stripe.StripeClient(API_KEY, base_addresses={"api": server.url})
        session = Shop(client).session()
        async with httpx.AsyncClient(base_url=server.url) as http:
            paid = await http.post(
                f"/_emulator/sessions/{session.id}/pay",
                json={"method": "bank_debit", "number": "000123456789"},
            )
            assert paid.json()["session"]["payment_status"] == "unpaid"
    with Server(create_app(config), free_port()) as server:
        client = stripe.StripeClient(API_KEY, base_addresses={"api": server.url})
        assert client.v1.checkout.sessions.retrieve(session.id).status == "complete"
        await inbox.wait_for("checkout.session.async_payment_succeeded")
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        assert len(client.v1.webhook_endpoints.list().data) == 1


async def test_undelivered_events_are_delivered_after_a_restart(
    tmp_path: Path, inbox: Inbox, control: Control
) -> None:
    assert control is not None
    config = EmulatorConfig(
        api_key=API_KEY,
        snapshot=tmp_path / "state.json",
        webhook_url=inbox.url,
        webhook_secret=SECRET,
    )
    inbox.statuses = [500]
    with Server(create_app(config), free_port()) as server:
        client = stripe.StripeClient(API_KEY, base_addresses={"api": server.url})
        client.v1.products.create({"name": "x"})
        await inbox.wait_for("product.created")
    with Server(create_app(config), free_port()):
        first, second = await inbox.wait_for("product.created", count=2)
    assert first.event().id == second.event().id


async def test_requests_are_answered_while_a_snapshot_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "SNAPSHOT_INTERVAL_S", 0.5)
    partial = tmp_path / "state.partial"
    os.mkfifo(partial)  # whoever writes it waits until somebody reads it
    config = EmulatorConfig(api_key=API_KEY, snapshot=tmp_path / "state.json")
    with Server(create_app(config), free_port()) as server:
        async with httpx.AsyncClient(base_url=server.url, auth=(API_KEY, ""), timeout=5) as http:
            for number in range(10):
                made = await http.post("/v1/products", data={"name": f"{number}"})
                assert made.status_code == 200
                await asyncio.sleep(0.1)
        kept = json.loads(await asyncio.to_thread(partial.read_text))
    names = [obj["name"] for obj in kept["accounts"]["acct_1EmulatorPlatform"] if "name" in obj]
    assert "0" in names
    assert "9" not in names, "it holds the moment at which it was begun"
    whole = json.loads((tmp_path / "state.json").read_text())
    assert "9" in [obj.get("name") for obj in whole["accounts"]["acct_1EmulatorPlatform"]]
