"""What needs a person is told by mail and to the merchant's application, once for each cause."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from domain.alerts import MOST_LISTED, Alert, subject, text
from domain.orders import OrderState
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World, eventually, open_world

OPS = "ops@example.com"
ALERTED = {
    "alert_emails": OPS,
    "app_webhook_url": "http://127.0.0.1:9/nobody",
    "temporal_ui_url": "https://temporal.example",
}


@pytest.fixture
async def watched(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> AsyncIterator[World]:
    """A world whose operators are told."""
    async with open_world(database_url, client, temporal_address, tmp_path, **ALERTED) as opened:
        # Alerts of other worlds on the same database are none of this one's.
        await opened.execute("DELETE FROM alerts")
        yield opened


async def _alert_mails(world: World, count: int) -> list[dict[str, Any]]:
    async def came() -> list[dict[str, Any]] | None:
        mails = [mail for mail in await world.mails() if mail["recipients"] == [OPS]]
        return mails if len(mails) >= count else None

    return await eventually(came)


async def _messages(world: World, session_id: str) -> list[dict[str, Any]]:
    token = world.settings.operator_token.get_secret_value()
    answer = await world.api.get("/messages", headers={"Authorization": f"Bearer {token}"})
    return [
        message
        for message in answer.json()
        if message["session_id"] == session_id and message["type"].startswith("order.")
    ]


async def test_a_stuck_step_is_told_once_for_its_cause(watched: World) -> None:
    async with watched.worker():
        session_id = await watched.shop.buy({})
        parked = await watched.step_in(session_id, "action_required")
        [mail] = await _alert_mails(watched, 1)
        # The same again is nothing new.
        await watched.decide(session_id, "retry", parked.step)
        await watched.step_in(session_id, "action_required")
    assert mail["subject"] == "1 order needs you: product_unknown"
    assert parked.step in mail["text"]
    assert f"https://temporal.example/namespaces/default/workflows/{session_id}" in mail["text"]
    order = await watched.order(session_id)
    assert order.customer_email
    assert order.customer_email not in mail["text"]
    [message] = await _messages(watched, session_id)
    assert message["type"] == "order.action_required"
    assert message["data"]["cause"] == "product_unknown"
    assert message["data"]["step"] == parked.step


async def test_what_gets_stuck_soon_after_comes_in_one_mail(watched: World) -> None:
    async with watched.worker():
        first = await watched.shop.buy({})
        await _alert_mails(watched, 1)
        others = [await watched.shop.buy({}) for _ in range(3)]
        for session_id in others:
            await watched.step_in(session_id, "action_required")
        handle = watched.client.get_workflow_handle(
            f"alerts-{watched.settings.temporal_task_queue}"
        )
        history = await handle.fetch_history()
    signals = [
        event
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert len(signals) == 4
    mails = [mail for mail in await watched.mails() if mail["recipients"] == [OPS]]
    assert [first in mail["text"] for mail in mails] == [True]


async def test_a_later_mail_tells_of_all_that_was_gathered(skipping_world: World) -> None:
    world = skipping_world.with_settings(alert_emails=(OPS,))
    await world.execute("DELETE FROM alerts")
    async with world.worker():
        await world.shop.buy({})
        await _alert_mails(world, 1)
        for _ in range(2):
            await world.step_in(await world.shop.buy({}), "action_required")
        await world.skip(timedelta(minutes=16))
        mails = await _alert_mails(world, 2)
    assert mails[0]["subject"] == "2 orders need you: product_unknown"


async def test_what_is_planned_for_a_person_or_held_by_one_is_no_alert(watched: World) -> None:
    async with watched.worker():
        by_hand = await watched.shop.buy(MANUAL)
        await watched.step_in(by_hand, "awaiting_operator")
        held = await watched.buy_delayed(ACCESS)
        await watched.workflow(held).execute_update("hold", {"by": OPS, "reason": "a check"})
        await watched.shop.settle(held)
        await watched.step_in(held, "action_required")
    for session_id in (by_hand, held):
        assert await _messages(watched, session_id) == []


async def test_a_paid_order_that_waits_for_us_too_long_is_told_once(watched: World) -> None:
    sold_out = {
        **shipment(await watched.new_sku(0)),
        "shipment_out_of_stock": "backorder",
    }
    async with watched.worker():
        late = await watched.shop.buy(MANUAL)
        await watched.step_in(late, "awaiting_operator")
        done = await watched.shop.buy(ACCESS)
        await watched.result(done)
        waits_for_stock = await watched.shop.buy(sold_out)
        await watched.step_in(waits_for_stock, "waiting")
        on_time = await watched.shop.buy(MANUAL)
        await watched.step_in(on_time, "awaiting_operator")
        for session_id in (late, done, waits_for_stock):
            await watched.execute(
                "UPDATE fulfillments SET created_at = now() - interval '25 hours' "  # noqa: S608 - our own ID
                f"WHERE session_id = '{session_id}'"
            )
        assert (await watched.sweep()).late == 1
        [mail] = await _alert_mails(watched, 1)
        assert (await watched.sweep()).late == 0
    assert mail["subject"] == "1 order needs you: overdue"
    assert late in mail["text"]
    [message] = await _messages(watched, late)
    assert message["type"] == "order.overdue"
    for session_id in (done, waits_for_stock, on_time):
        assert await _messages(watched, session_id) == []
    assert (await watched.order(late)).state is not OrderState.FULFILLED


async def test_what_temporal_did_not_hear_of_the_sweep_mails(watched: World) -> None:
    async with watched.worker():
        session_id = await watched.shop.buy(MANUAL)
        await watched.step_in(session_id, "awaiting_operator")
        await watched.execute(
            "INSERT INTO alerts (session_id, step, cause, detail) "  # noqa: S608 - our own ID
            f"VALUES ('{session_id}', 'payment', 'stripe_unauthorized', 'the key is wrong')"
        )
        await watched.sweep()
        [mail] = await _alert_mails(watched, 1)
    assert "the key is wrong" in mail["text"]


def test_a_mail_names_some_and_counts_the_others() -> None:
    alerts = [
        Alert.model_validate(
            {
                "id": number,
                "session_id": f"cs_test_{number}",
                "step": "",
                "cause": "carrier_unauthorized",
                "detail": "carrier_unauthorized: the key is wrong",
                "created_at": "2026-11-24T10:00:00Z",
            }
        )
        for number in range(MOST_LISTED + 5)
    ]
    assert subject(alerts) == "25 orders need you: carrier_unauthorized"
    body = text(alerts, "https://temporal.example/")
    assert body.count("https://temporal.example/cs_test_") == MOST_LISTED
    assert "- and 5 more" in body
