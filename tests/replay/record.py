"""Records one history per path of the workflow: `python -m tests.replay.record VERSION`.

Each release adds the histories of its own code and keeps the older ones: a running order
that began under an older release must replay under every later one.
"""

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import select

from database.emails import RECEIPT
from database.migrate import upgrade
from database.tables import messages
from local.postgres import embedded_postgres
from local.temporal import embedded_temporal
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import OPERATOR_TOKEN, World, eventually, open_world
from workflows.client import connect
from workflows.reconcile import ReconcileCheckouts

HISTORIES = Path(__file__).parent / "histories"
RecordedPath = Callable[[World], Awaitable[str]]


async def _mixed_order(world: World) -> str:
    session_id = await world.shop.buy(ACCESS, shipment(await world.new_sku()))
    await world.result(session_id)
    return session_id


async def _delayed_payment(world: World) -> str:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(session_id, "bank_debit")

    async def waiting() -> bool | None:
        return True if await world.order_or_none(session_id) else None

    await eventually(waiting)
    await world.shop.settle(session_id)
    await world.result(session_id)
    return session_id


async def _failed_payment(world: World) -> str:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(session_id, "bank_debit")
    await world.shop.fail(session_id)
    await world.result(session_id)
    return session_id


async def _carrier_trouble(world: World) -> str:
    await world.carrier.post("/faults", json={"status": 500, "count": 2})
    return await _mixed_order(world)


async def _operator_decisions(world: World) -> str:
    await world.carrier.post("/faults", json={"status": 422, "count": 1})
    session_id = await world.shop.buy(shipment(await world.new_sku()), MANUAL, {})
    for state, update in (
        ("action_required", "retry"),
        ("awaiting_operator", "mark_fulfilled"),
        ("action_required", "skip"),
    ):
        step = await world.step_in(session_id, state)
        if update == "retry" and step.step.endswith("unassigned"):
            step = next(
                view
                for view in (await world.steps(session_id)).values()
                if view.step.endswith("shipment")
            )
        await world.decide(session_id, update, step.step, "as agreed")
    await world.result(session_id)
    return session_id


async def _alarm(world: World) -> str:
    await world.carrier.post("/faults", json={"status": 401, "count": 1})
    session_id = await world.shop.buy(shipment(await world.new_sku()))
    step = await world.step_in(session_id, "alarm")
    await world.decide(session_id, "retry", step.step)
    await world.result(session_id)
    return session_id


async def _unknown_session(world: World) -> str:
    session_id = "cs_test_a1NobodyKnowsThisSession00"
    await world.fulfillments.trigger(session_id)
    await world.result(session_id)
    return session_id


async def _reserved_stock(world: World) -> str:
    metadata = {**shipment(await world.new_sku()), "shipment_reserve": "true"}
    price = await world.shop.price(metadata, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(session_id, "bank_debit")
    await world.step_in(session_id, "waiting")
    await world.shop.settle(session_id)
    await world.result(session_id)
    return session_id


async def _sweep(world: World) -> str:
    await world.sweep()
    await world.shop.deliveries("drop")
    session_id = await world.shop.buy(ACCESS)
    sweep_id = "sweep-recorded"
    await world.client.execute_workflow(
        ReconcileCheckouts.run, id=sweep_id, task_queue=world.settings.temporal_task_queue
    )
    await world.result(session_id)
    return sweep_id


async def _partial_success(world: World) -> str:
    sku = await world.new_sku(on_hand=0)
    metadata = {**shipment(sku), "shipment_out_of_stock": "backorder"}
    session_id = await world.shop.buy(ACCESS, metadata)
    step = await world.step_in(session_id, "waiting")
    await world.restock(sku, 1)
    await world.fulfillments.wake(session_id, step.step, account=None)
    await world.result(session_id)
    return session_id


async def _parcel_news(world: World) -> str:
    session_id = await _mixed_order(world)
    [parcel] = await world.parcels(session_id)
    await world.carrier.post(f"/shipments/{parcel['id']}/advance")

    async def told() -> bool | None:
        return len(await world.mails()) == 2 or None

    await eventually(told)
    workflow_id = f"parcel:{parcel['reference']}"
    await world.client.get_workflow_handle(workflow_id).result()
    return workflow_id


async def _email_sent_again(world: World) -> str:
    session_id = await _mixed_order(world)
    answer = await world.api.post(
        f"/orders/{session_id}/emails/{RECEIPT}/resend",
        headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
        json={"by": "ops@example.com"},
    )
    answer.raise_for_status()
    workflow_id = f"email-{session_id}-{RECEIPT}-{answer.json()['key']}"
    await world.client.get_workflow_handle(workflow_id).result()
    return workflow_id


async def _undone_refund(world: World) -> str:
    session_id = await world.shop.buy(MANUAL, ACCESS)
    await world.step_in(session_id, "awaiting_operator")
    refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]
    await world.result(session_id)
    await world.shop.control("POST", f"/refunds/{refund['id']}/end", {"succeeded": False})
    parked = await eventually(lambda: _parked(world, session_id))
    await world.decide(session_id, "mark_fulfilled", parked)
    await world.result(session_id)
    return session_id


async def _parked(world: World, session_id: str) -> str | None:
    steps = (await world.steps(session_id)).values()
    return next((each.step for each in steps if each.state == "awaiting_operator"), None)


async def _ended(world: World, workflow_id: str) -> str:
    await world.client.get_workflow_handle(workflow_id).result()
    return workflow_id


async def _failed_refund(world: World) -> str:
    session_id = await _mixed_order(world)
    refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]

    async def told() -> bool | None:
        return len(await world.mails()) == 2 or None

    await eventually(told)
    await world.shop.control("POST", f"/refunds/{refund['id']}/end", {"succeeded": False})
    return await _ended(world, refund["id"])


async def _won_dispute(world: World) -> str:
    session_id = await world.shop.buy(MANUAL)
    parked = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "mark_fulfilled", parked.step)
    await world.result(session_id)
    dispute = (await world.shop.control("POST", f"/sessions/{session_id}/dispute"))["dispute"]
    await world.shop.control("POST", f"/disputes/{dispute['id']}/close", {"won": True})
    return await _ended(world, dispute["id"])


async def _taken_back_by_hand(world: World) -> str:
    session_id = await world.shop.buy(MANUAL)
    parked = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "mark_fulfilled", parked.step)
    await world.result(session_id)
    dispute = (await world.shop.control("POST", f"/sessions/{session_id}/dispute"))["dispute"]
    await world.shop.control("POST", f"/disputes/{dispute['id']}/close", {"won": False})
    asked = await world.step_in(dispute["id"], "awaiting_operator")
    await world.decide(dispute["id"], "mark_fulfilled", asked.step, "picked up")
    return await _ended(world, dispute["id"])


async def _refund_asked_for(world: World) -> str:
    session_id = await _mixed_order(world)
    await world.shop.control(
        "POST", "/faults", {"path": "/v1/refunds", "method": "POST", "status": 400, "count": 1}
    )
    answer = await world.api.post(
        f"/orders/{session_id}/refunds",
        headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
        json={"by": "ops@example.com"},
    )
    answer.raise_for_status()
    workflow_id = f"refund:{answer.json()['id']}"
    stuck = await world.step_in(workflow_id, "action_required")
    await world.decide(workflow_id, "retry", stuck.step)
    return await _ended(world, workflow_id)


async def _ask(world: World, session_id: str, update: str, **asked: object) -> None:
    said = {"by": "ops@example.com", "reason": "as agreed", **asked}
    await world.workflow(session_id).execute_update(update, said)


async def _held_order(world: World) -> str:
    session_id = await world.buy_delayed(shipment(await world.new_sku()))
    await _ask(world, session_id, "hold")
    await world.shop.settle(session_id)
    await world.step_in(session_id, "action_required")
    address = {"name": "Ada", "line1": "New Street 1", "city": "Bern", "country": "CH"}
    await _ask(world, session_id, "change_address", address=address)
    await _ask(world, session_id, "release")
    await world.result(session_id)
    return session_id


async def _canceled_order(world: World) -> str:
    session_id = await world.shop.buy(ACCESS, MANUAL)
    await world.step_in(session_id, "awaiting_operator")

    async def mailed() -> bool | None:
        return bool(await world.mails()) or None

    await eventually(mailed)
    await _ask(world, session_id, "resend_receipt", to="right@example.com")
    await _ask(world, session_id, "cancel_and_refund")
    await world.result(session_id)
    return session_id


async def _told_message(world: World) -> str:
    # Nobody listens: it waits for its next try.
    session_id = await _mixed_order(world)
    async with world.database.transaction() as connection:
        of_order = messages.c.session_id == session_id
        message_id = await connection.scalar(select(messages.c.id).where(of_order))
    return await _paused(world, f"message:{message_id}")


async def _mailed_alerts(world: World) -> str:
    session_id = await world.shop.buy({})
    await world.step_in(session_id, "action_required")
    return await _paused(world, f"alerts-{world.settings.temporal_task_queue}")


async def _paused(world: World, workflow_id: str) -> str:
    """Waits until a workflow that ends much later has set its timer."""

    async def sleeping() -> bool | None:
        history = await world.workflow(workflow_id).fetch_history()
        return any(event.HasField("timer_started_event_attributes") for event in history.events)

    await eventually(sleeping)
    return workflow_id


PATHS: tuple[RecordedPath, ...] = (
    _mixed_order,
    _delayed_payment,
    _failed_payment,
    _carrier_trouble,
    _operator_decisions,
    _alarm,
    _unknown_session,
    _reserved_stock,
    _sweep,
    _partial_success,
    _parcel_news,
    _email_sent_again,
    _undone_refund,
    _failed_refund,
    _won_dispute,
    _taken_back_by_hand,
    _refund_asked_for,
    _held_order,
    _canceled_order,
    _told_message,
    _mailed_alerts,
)
SETTINGS: dict[RecordedPath, dict[str, object]] = {
    _told_message: {"app_webhook_url": "http://127.0.0.1:9/"},
    _mailed_alerts: {"alert_emails": "ops@example.com"},
}
"""What some of them need."""


def name_of(path: RecordedPath) -> str:
    """How its histories are called, behind the version."""
    return path.__name__.strip("_")


async def _record(version: str) -> None:
    with (
        embedded_postgres() as database_url,
        embedded_temporal() as address,
        tempfile.TemporaryDirectory() as folder,
    ):
        upgrade(database_url)
        client = await connect(address, "default")
        for path in PATHS:
            name = name_of(path)
            work = Path(folder) / name
            work.mkdir()
            opened = open_world(database_url, client, address, work, **SETTINGS.get(path, {}))
            async with opened as world, world.worker():
                workflow_id = await path(world)
                history = await world.workflow(workflow_id).fetch_history()
            file = HISTORIES / f"{version}-{name}.json"
            file.write_text(json.dumps(_anonymous(json.loads(history.to_json())), indent=1) + "\n")
            print(f"{file.name}: {len(history.events)} events")  # noqa: T201 - a command's answer


def _anonymous(value: object) -> object:
    """Leaves out which machine recorded it: its name, and the folders in stack traces."""
    if isinstance(value, dict):
        return {key: "" if key == "stackTrace" else _anonymous(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_anonymous(part) for part in value]
    return value.replace(socket.gethostname(), "host") if isinstance(value, str) else value


if __name__ == "__main__":
    asyncio.run(_record(sys.argv[1]))
