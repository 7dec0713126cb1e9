"""What operators find, and do to an order as a whole, in the Temporal Web UI."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from database.audit import record_act_once
from domain.orders import FulfillmentState, OrderState
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World, eventually

WHO = {"by": "ops@example.com"}
WHY = {**WHO, "reason": "as agreed by phone"}


async def _ask(world: World, session_id: str, update: str, asked: Mapping[str, Any]) -> Any:
    return await world.workflow(session_id).execute_update(update, asked)


async def _refusal(world: World, session_id: str, update: str, asked: Mapping[str, Any]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await _ask(world, session_id, update, asked)
    assert isinstance(refusal.value.cause, ApplicationError)
    return str(refusal.value.cause)


async def _found(world: World, query: str) -> list[str]:
    return [each.id async for each in world.client.list_workflows(query)]


async def _timeline(world: World, session_id: str) -> list[dict[str, Any]]:
    answer = await world.api.get(
        f"/orders/{session_id}/timeline",
        headers={"Authorization": f"Bearer {world.settings.operator_token.get_secret_value()}"},
    )
    entries: list[dict[str, Any]] = answer.json()
    return entries


async def test_operators_find_orders_by_what_they_are(world: World) -> None:
    async with world.worker():
        stuck = await world.shop.buy({})
        await world.step_in(stuck, "action_required")
        done = await world.shop.buy(ACCESS)
        await world.result(done)

        async def indexed() -> bool | None:
            found = await _found(world, f"NeedsAttention = true AND WorkflowId = '{stuck}'")
            return True if found == [stuck] else None

        await eventually(indexed)
        found = await world.workflow(done).describe()
        order = await world.order(done)
    assert order.total is not None
    attributes = {pair.key.name: pair.value for pair in found.typed_search_attributes}
    created = attributes.pop("OrderCreated")
    assert isinstance(created, datetime)
    assert abs(created - datetime.now(UTC)) < timedelta(days=2)
    assert {name: value for name, value in attributes.items() if name != "BuildIds"} == {
        "OrderState": "fulfilled",
        "PaymentState": "settled",
        "NeedsAttention": False,
        "OrderAmountMinor": order.total.amount_minor,
        "OrderCurrency": order.total.currency,
        "Livemode": False,
    }


async def test_operators_find_what_goes_back_and_waits_for_them(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(MANUAL)
        sold = await world.step_in(session_id, "awaiting_operator")
        await world.decide(session_id, "mark_fulfilled", sold.step)
        await world.result(session_id)
        refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]
        asked = await world.step_in(refund["id"], "awaiting_operator")
        query = f"NeedsAttention = true AND WorkflowId = '{refund['id']}'"

        async def found(ids: list[str]) -> bool | None:
            return await _found(world, query) == ids or None

        await eventually(lambda: found([refund["id"]]))
        await world.decide(refund["id"], "mark_fulfilled", asked.step)
        await eventually(lambda: found([]))


async def test_each_query_of_the_docs_is_one(world: World) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
    table = text.partition("| What | Query |")[2].partition("\n\n")[0]
    queries = re.findall(r"\| `(.+)` \|", table)
    assert len(queries) == 8
    for query in queries:
        await world.client.count_workflows(query)


async def test_an_order_that_goes_straight_through_costs_one_event_more(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
        history = await world.workflow(session_id).fetch_history()
    upserts = [
        event
        for event in history.events
        if event.HasField("upsert_workflow_search_attributes_event_attributes")
    ]
    assert len(upserts) == 1


async def test_what_is_seen_in_lists_follows_the_order(world: World) -> None:
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)

        async def state(wanted: str) -> bool | None:
            found = await world.workflow(session_id).describe()
            values = {pair.key.name: pair.value for pair in found.typed_search_attributes}
            return True if values.get("OrderState") == wanted else None

        await eventually(lambda: state("awaiting_payment"))
        await world.shop.fail(session_id)
        await eventually(lambda: state("payment_failed"))


async def test_a_held_order_is_delivered_once_it_is_released(world: World) -> None:
    async with world.worker():
        session_id = await world.buy_delayed(shipment(await world.new_sku()))
        await _ask(world, session_id, "hold", WHY)
        await world.shop.settle(session_id)
        parked = await world.step_in(session_id, "action_required")
        assert parked.error is not None
        assert "an operator holds this order" in parked.error
        assert await world.parcels(session_id) == []
        await world.decide(session_id, "retry", parked.step)
        await world.step_in(session_id, "action_required")
        await _ask(world, session_id, "release", WHO)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.parcels(session_id)) == 1
    entries = await _timeline(world, session_id)
    acts = {entry["event"]: entry for entry in entries if entry["event"].startswith("order_")}
    assert acts["order_held"]["by"] == WHO["by"]
    assert acts["order_held"]["detail"] == WHY["reason"]
    assert acts["order_released"]["by"] == WHO["by"]


async def test_what_is_decided_about_steps_stands_in_the_timeline_with_who_and_why(
    world: World,
) -> None:
    await world.carrier.post("/faults", json={"status": 422, "count": 1})
    async with world.worker():
        session_id = await world.shop.buy(shipment(await world.new_sku()))
        parked = await world.step_in(session_id, "action_required")
        for wrong in ("x" * 1001, "\0"):
            novel = {"step": parked.step, **WHO, "reason": wrong}
            assert "`reason`" in await _refusal(world, session_id, "retry", novel)
        await world.decide(session_id, "retry", parked.step, "address checked")
        await world.result(session_id)
        other = await world.shop.buy(MANUAL, {})
        by_hand = await world.step_in(other, "awaiting_operator")
        await world.decide(other, "mark_fulfilled", by_hand.step, "called them")
        unknown = await world.step_in(other, "action_required")
        await world.decide(other, "skip", unknown.step, "a gift card")
        await world.result(other)
        lost = await world.buy_delayed(ACCESS)
        await world.shop.control("POST", "/faults", {"path": lost, "method": "GET", "status": 400})
        await world.shop.settle(lost)
        payment = await world.step_in(lost, "action_required")
        await world.decide(lost, "skip", payment.step, "nothing will come")
        await world.result(lost)

    async def decided(order: str) -> list[tuple[str, str, str]]:
        entries = await _timeline(world, order)
        return [
            (entry["event"], entry["by"], entry["detail"])
            for entry in entries
            if entry["event"].startswith("step_")
        ]

    who = WHO["by"]
    again = {"act": "step_retried", "by": who, "detail": f"{parked.step}, try 1: address checked"}
    async with world.database.transaction() as connection:
        # As an activity whose answer was lost does it at its next try.
        minutes_ago = datetime.now(UTC) - timedelta(minutes=2)
        await record_act_once(connection, session_id, **again, since=minutes_ago)
    assert await decided(session_id) == [
        ("step_retried", who, f"{parked.step}, try 1: address checked")
    ]
    assert await decided(other) == [
        ("step_done_by_hand", who, f"{by_hand.step}, try 1: called them"),
        ("step_skipped", who, f"{unknown.step}, try 1: a gift card"),
    ]
    assert await decided(lost) == [("step_skipped", who, "payment, try 1: nothing will come")]


async def test_what_is_not_booked_goes_to_the_changed_address(world: World) -> None:
    address = {"name": "Ada", "line1": "New Street 1", "city": "Bern", "country": "CH"}
    async with world.worker():
        session_id = await world.buy_delayed(shipment(await world.new_sku()))
        await _ask(world, session_id, "change_address", {**WHY, "address": address})
        await world.shop.settle(session_id)
        await world.result(session_id)
        [parcel] = await world.parcels(session_id)
    assert parcel["to"]["line1"] == "New Street 1"
    assert parcel["to"]["country"] == "CH"
    assert (await world.order(session_id)).shipping_address.line1 == "New Street 1"  # type: ignore[union-attr]
    entries = await _timeline(world, session_id)
    [act] = [entry for entry in entries if entry["event"] == "address_changed"]
    assert "New Street" not in act["detail"]


async def test_what_is_booked_goes_where_it_goes(world: World) -> None:
    address = {"name": "Ada", "line1": "New Street 1", "country": "CH"}
    async with world.worker():
        session_id = await world.shop.buy(shipment(await world.new_sku()), MANUAL)
        await world.step_in(session_id, "awaiting_operator")

        async def shipped() -> bool | None:
            return True if await world.parcels(session_id) else None

        await eventually(shipped)
        refusal = await _refusal(world, session_id, "change_address", {**WHY, "address": address})
    assert "nothing of this order is still to be shipped" in refusal


async def test_the_receipt_goes_to_a_corrected_address(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, MANUAL)
        await world.step_in(session_id, "awaiting_operator")

        async def receipts() -> list[dict[str, Any]] | None:
            return await world.mails() or None

        await eventually(receipts)
        await _ask(world, session_id, "resend_receipt", {**WHO, "to": "right@example.com"})

        async def corrected() -> bool | None:
            return True if len(await world.mails()) == 2 else None

        await eventually(corrected)
    assert (await world.mails())[0]["recipients"] == ["right@example.com"]


async def test_a_canceled_order_is_refunded_and_delivered_no_more(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, MANUAL)
        await world.step_in(session_id, "awaiting_operator")
        request_id = await _ask(world, session_id, "cancel_and_refund", WHY)
        assert request_id.startswith("rfr_")
        assert (await world.result(session_id)).state is OrderState.REVERSED
    order = await world.order(session_id)
    states = {item.state for line in order.lines for item in line.fulfillments}
    assert states == {FulfillmentState.REVERSED}


@pytest.mark.parametrize(
    ("update", "asked"),
    [
        ("hold", WHO),
        ("hold", {"by": "", "reason": "x"}),
        ("cancel_and_refund", WHO),
        ("release", {}),
        ("resend_receipt", {**WHO, "to": "no address"}),
        ("change_address", {**WHY, "address": {"line1": "x"}}),
    ],
)
async def test_what_says_too_little_is_refused_and_changes_nothing(
    world: World, update: str, asked: dict[str, Any]
) -> None:
    async with world.worker():
        session_id = await world.shop.buy(MANUAL)
        await world.step_in(session_id, "awaiting_operator")
        with pytest.raises(WorkflowUpdateFailedError):
            await _ask(world, session_id, update, asked)
        entries = await _timeline(world, session_id)
    assert not {entry["event"] for entry in entries} & {
        *("order_held", "order_released", "email_resent", "refund_requested", "address_changed")
    }


async def test_nothing_is_refunded_that_was_not_paid(world: World) -> None:
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        refusal = await _refusal(world, session_id, "cancel_and_refund", WHY)
    assert "nothing was paid" in refusal
