"""The paths of which each release has histories: what happens, and whose history it is."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import pytest
from sqlalchemy import select
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage

from database.emails import RECEIPT
from database.tables import fulfillments, messages
from domain.orders import OrderState
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import OPERATOR_TOKEN, World, eventually
from workflows.reconcile import ReconcileCheckouts

RecordedPath = Callable[[World], Awaitable[str]]
BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
AS_AGREED = {"by": "ops@example.com", "reason": "as agreed"}


async def _mixed_order(world: World) -> str:
    session_id = await world.shop.buy(ACCESS, shipment(await world.new_sku()))
    await world.result(session_id)
    return session_id


async def _delayed_payment(world: World) -> str:
    session_id = await world.buy_delayed(ACCESS)
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
        headers=BEARER,
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
    session_id = await _by_hand(world)
    dispute = (await world.shop.control("POST", f"/sessions/{session_id}/dispute"))["dispute"]
    await world.shop.control("POST", f"/disputes/{dispute['id']}/close", {"won": True})
    return await _ended(world, dispute["id"])


async def _by_hand(world: World) -> str:
    session_id = await world.shop.buy(MANUAL)
    parked = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "mark_fulfilled", parked.step)
    await world.result(session_id)
    return session_id


async def _taken_back_by_hand(world: World) -> str:
    session_id = await _by_hand(world)
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
        headers=BEARER,
        json={"by": "ops@example.com"},
    )
    answer.raise_for_status()
    workflow_id = f"refund:{answer.json()['id']}"
    stuck = await world.step_in(workflow_id, "action_required")
    await world.decide(workflow_id, "retry", stuck.step)
    return await _ended(world, workflow_id)


async def late_payment(world: World) -> str:
    """Paid while the order of the lost payment is closed, as an operator's hold is still tried.

    It runs workers of its own.
    """
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    fault = {"path": session_id, "method": "GET", "status": 400}
    await world.shop.control("POST", "/faults", fault)

    async def closed() -> bool | None:
        return (await world.order(session_id)).state is OrderState.PAYMENT_FAILED or None

    async with world.worker_without_regular_activities():
        await world.shop.pay(session_id, "bank_debit")
        await world.step_in(session_id, "action_required")
        held = await world.workflow(session_id).start_update(
            "hold", AS_AGREED, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        await world.decide(session_id, "skip", "payment", "nothing will come")
        await eventually(closed)
        await world.shop.control("DELETE", "/faults")
        heard = await _signals(world, session_id)
        await world.shop.settle(session_id)

        async def told() -> bool | None:
            return await _signals(world, session_id) > heard or None

        await eventually(told)
    async with world.worker():
        with pytest.raises(WorkflowUpdateFailedError):
            await held.result()
        await world.result(session_id)
    return session_id


async def _signals(world: World, workflow_id: str) -> int:
    """How often a workflow was told of something."""
    events = (await world.workflow(workflow_id).fetch_history()).events
    return sum(each.HasField("workflow_execution_signaled_event_attributes") for each in events)


async def _reopened_order(world: World) -> str:
    """Something is to be delivered again by the time that it is closed."""
    await world.execute(
        "CREATE FUNCTION reopen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE fulfillments SET state = 'pending' WHERE session_id = NEW.session_id; "
        "RETURN NEW; END $$"
    )
    await world.execute(
        "CREATE TRIGGER reopen AFTER INSERT ON emails FOR EACH ROW EXECUTE FUNCTION reopen()"
    )
    try:
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
    finally:
        await world.execute("DROP FUNCTION reopen CASCADE")
    return session_id


async def _refund_by_hand(world: World) -> str:
    """The charge's workflow leaves to the refund's what a person takes back."""
    session_id = await _by_hand(world)
    refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]
    await world.step_in(refund["id"], "awaiting_operator")
    return await _ended(world, refund["charge"])


async def _narrowed_refund(world: World) -> str:
    """An operator says what a refund is about, and then that it is about less."""
    products = (
        {**MANUAL, "note": note} for note in ("taken back", "still wanted", "never refunded")
    )
    session_id = await world.shop.buy(*products)
    first = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "mark_fulfilled", first.step)
    planned = await _line_items(world, session_id)
    [done] = [line_item_id for line_item_id in planned if line_item_id in first.step]
    wanted = min(planned - {done})
    refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund", {"amount": 5}))[
        "refund"
    ]
    await world.step_in(refund["id"], "awaiting_operator")
    await _say_what_it_is_about(world, session_id, refund["id"], {done: 1, wanted: 1})
    take_back = f"take_back:{first.step}"

    async def waits(workflow_id: str, what: str) -> bool | None:
        steps = await world.steps(workflow_id)
        return any(what in key and steps[key].state == "awaiting_operator" for key in steps) or None

    await eventually(lambda: waits(refund["id"], take_back))
    await _say_what_it_is_about(world, session_id, refund["id"], {done: 1})
    await eventually(lambda: waits(session_id, wanted))
    await eventually(lambda: waits(refund["id"], take_back))
    await world.decide(refund["id"], "mark_fulfilled", take_back, "picked up")
    # It may fail yet.
    return await _paused(world, refund["id"])


async def _line_items(world: World, session_id: str) -> set[str]:
    async with world.database.transaction() as connection:
        of_order = fulfillments.c.session_id == session_id
        return set(await connection.scalars(select(fulfillments.c.line_item_id).where(of_order)))


async def _say_what_it_is_about(
    world: World, session_id: str, refund_id: str, lines: dict[str, int]
) -> None:
    answer = await world.api.post(
        f"/orders/{session_id}/reversals/{refund_id}/decision",
        headers=BEARER,
        json={"decision": "revoke", "by": "ops@example.com", "lines": lines},
    )
    answer.raise_for_status()


async def _ask(world: World, session_id: str, update: str, **asked: object) -> None:
    said = {**AS_AGREED, **asked}
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
    late_payment,
    _reopened_order,
    _refund_by_hand,
    _narrowed_refund,
)
SETTINGS: dict[RecordedPath, dict[str, object]] = {
    _told_message: {"app_webhook_url": "http://127.0.0.1:9/"},
    _mailed_alerts: {"alert_emails": "ops@example.com"},
}
"""What some of them need."""


def worker_of(path: RecordedPath, world: World) -> AbstractAsyncContextManager[None]:
    """The worker that a path takes place on, but for one that runs its own."""
    return nullcontext() if path is late_payment else world.worker()


def name_of(path: RecordedPath) -> str:
    """How its histories are called, behind the version."""
    return path.__name__.strip("_")
