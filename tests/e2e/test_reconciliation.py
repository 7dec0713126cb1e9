"""Orders are fulfilled although no event tells of them, and none is forgotten."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest
import stripe
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from api.events import handled_events
from database.licenses import import_keys
from domain.licenses import parse_pool
from domain.orders import OrderState
from domain.reconciliation import Action
from local.ports import free_port
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually
from worker import SWEEP_JOBS
from workflows.reconcile import ReconcileCheckouts
from workflows.schedule import ensure_schedule, schedule_id

ORDERS = 200
HOUR_S = 3600


async def _break_endpoint(world: World) -> None:
    """Moves Stripe's webhook endpoint, as `make setup` registers it, to where nobody listens."""
    endpoints = await world.shop.stripe.v1.webhook_endpoints.list_async()
    await world.shop.stripe.v1.webhook_endpoints.update_async(
        endpoints.data[0].id,
        {
            "url": f"http://127.0.0.1:{free_port()}/webhook",
            "enabled_events": cast("Any", handled_events()),
        },
    )


async def _buy_many(world: World, count: int, over_s: int, *metadata: dict[str, str]) -> list[str]:
    """Sells one after the other, evenly over a time."""
    prices = [await world.shop.price(each) for each in metadata]
    body = {
        "line_items": [{"price": price, "quantity": 1} for price in prices],
        "session": {"shipping_address_collection": {"allowed_countries": ["US"]}},
    }
    sold: list[str] = []
    for _ in range(count):
        sold += (await world.shop.control("POST", "/purchases", body))["sessions"]
        await world.shop.control("POST", "/clock", {"advance_s": over_s / count})
    return sold


async def test_an_endpoint_that_is_down_for_an_hour_loses_no_order(world: World) -> None:
    """The drill: 200 sessions are paid, none is told of, each is fulfilled once."""
    sku = await world.new_sku(on_hand=ORDERS)
    async with world.worker():
        assert (await world.sweep()).seen == 0
        await _break_endpoint(world)
        metadata = {**shipment(sku), "fulfillment": "access,shipment", **_access_keys()}
        session_ids = await _buy_many(world, ORDERS, HOUR_S, metadata)
        assert len(session_ids) == ORDERS

        report = await world.sweep()
        assert report.done == dict.fromkeys(session_ids, Action.START)
        assert report.counts == {Action.START: ORDERS}
        results = await asyncio.gather(*(world.result(each) for each in session_ids))
        assert {result.state for result in results} == {OrderState.FULFILLED}

        assert (await world.sweep()).done == {}
    parcels = (await world.carrier.get("/shipments")).json()["shipments"]
    assert sorted(parcel["reference"].split(":")[0] for parcel in parcels) == sorted(session_ids)
    assert len(await world.mails()) == ORDERS
    assert await world.stock(sku) == 0
    webhooks = [each["state"] for each in await world.shop.delivered()]
    assert webhooks
    assert "succeeded" not in webhooks


def _access_keys() -> dict[str, str]:
    return {key: value for key, value in ACCESS.items() if key.startswith("access_")}


async def test_what_was_sold_before_the_first_sweep_is_left_alone(world: World) -> None:
    await world.shop.deliveries("drop")
    old = await world.shop.buy(ACCESS)
    # A second, since Stripe's times have no smaller unit.
    await asyncio.sleep(1.1)
    async with world.worker():
        assert (await world.sweep()).done == {}
        new = await world.shop.buy(ACCESS)
        assert (await world.sweep()).done == {new: Action.START}
    assert await world.order_or_none(old) is None


async def test_one_bad_session_stops_no_other(world: World) -> None:
    await world.shop.deliveries("drop")
    async with world.worker():
        await world.sweep()
        bad = await world.shop.buy(ACCESS)
        good = await world.shop.buy(ACCESS)
        await world.shop.control("POST", "/faults", {"path": bad, "method": "GET", "status": 400})
        report = await world.sweep()
        assert set(report.done) == {bad, good}
        assert (await world.result(good)).state is OrderState.FULFILLED
        # It is not lost either: an operator sees it.
        assert "stripe_refused" in str((await world.step_in(bad, "action_required")).error)


async def test_a_sweep_waits_out_a_rate_limit(world: World) -> None:
    await world.shop.deliveries("drop")
    async with world.worker():
        await world.sweep()
        session_id = await world.shop.buy(ACCESS)
        limit = {"path": "/v1/events", "status": 429, "headers": {"Retry-After": "1"}, "count": 2}
        await world.shop.control("POST", "/faults", limit)
        assert (await world.sweep()).done == {session_id: Action.START}


async def test_a_success_that_no_event_told_wakes_the_order(world: World) -> None:
    async with world.worker():
        await world.sweep()
        session_id = await world.buy_delayed(ACCESS)
        await _break_endpoint(world)
        await world.shop.settle(session_id)
        assert (await world.sweep()).done == {session_id: Action.WAKE}
        assert (await world.result(session_id)).state is OrderState.FULFILLED


async def test_a_later_attempt_that_no_event_told_opens_the_order_again(world: World) -> None:
    async with world.worker():
        await world.sweep()
        session_id = await world.buy_delayed(ACCESS)
        await world.shop.fail(session_id)
        assert (await world.result(session_id)).state is OrderState.PAYMENT_FAILED
        await world.shop.deliveries("drop")
        await world.shop.settle(session_id)
        assert (await world.sweep()).done == {session_id: Action.REOPEN}

        async def fulfilled() -> bool | None:
            return (await world.order(session_id)).state is OrderState.FULFILLED or None

        await eventually(fulfilled)
    assert sorted(mail["subject"].split(" (")[0] for mail in await world.mails()) == [
        "Your order is confirmed",
        "Your payment did not go through",
    ]


async def test_an_order_whose_workflow_is_gone_is_taken_up_again(world: World) -> None:
    async with world.worker():
        await world.sweep()
        session_id = await world.buy_delayed(ACCESS)
    await world.delete_workflow(session_id)
    await world.let_rest(session_id)
    async with world.worker():
        await world.sweep()
        await world.shop.settle(session_id)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.mails()) == 1


async def test_an_order_whose_workflow_was_terminated_is_told_of(world: World) -> None:
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        await world.workflow(session_id).terminate("by hand")
        await world.let_rest(session_id)
        report = await world.sweep()
    assert session_id in report.stranded


async def test_connected_accounts_are_swept_too(world: World) -> None:
    connected = world.with_settings(stripe_connect_accounts=("acct_1ConnectedShop",))
    account: stripe.RequestOptions = {"stripe_account": "acct_1ConnectedShop"}
    async with connected.worker():
        await connected.sweep()
        price = await world.shop.stripe.v1.prices.create_async(
            {
                "currency": "usd",
                "unit_amount": 500,
                "product_data": {"name": "Theirs", "metadata": ACCESS},
            },
            account,
        )
        session = await world.shop.stripe.v1.checkout.sessions.create_async(
            {
                "mode": "payment",
                "line_items": [{"price": price.id, "quantity": 1}],
                "success_url": "http://127.0.0.1/after",
            },
            account,
        )
        await world.shop.pay(session.id)
        assert (await connected.sweep()).done == {session.id: Action.START}
        assert (await world.result(session.id)).state is OrderState.FULFILLED
    assert (await world.order(session.id)).account == "acct_1ConnectedShop"


async def test_a_sweep_whose_worker_dies_goes_on_within_a_minute(world: World) -> None:
    async with world.worker():
        await world.client.execute_workflow(
            ReconcileCheckouts.run,
            id=(sweep_id := f"sweep-{uuid4().hex}"),
            task_queue=world.settings.temporal_task_queue,
        )
    history = await world.workflow(sweep_id).fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    beating = {each.activity_type.name for each in scheduled if each.heartbeat_timeout.seconds}
    assert beating == set(SWEEP_JOBS)
    for each in scheduled:
        assert (each.heartbeat_timeout.seconds or each.start_to_close_timeout.seconds) <= 60


async def test_the_schedule_is_made_once_and_sweeps(world: World) -> None:
    queue = world.settings.temporal_task_queue
    await world.shop.deliveries("drop")
    async with world.worker():
        await ensure_schedule(world.client, queue)
        await ensure_schedule(world.client, queue)
        handle = world.client.get_schedule_handle(schedule_id(queue))

        async def ran(times: int) -> bool | None:
            info = (await handle.describe()).info
            return True if info.num_actions >= times and not info.running_actions else None

        await eventually(lambda: ran(1))
        session_id = await world.shop.buy(ACCESS)
        await handle.trigger()
        assert (await world.result(session_id)).state is OrderState.FULFILLED
        description = await handle.describe()
    assert description.schedule.spec.intervals[0].every == timedelta(minutes=15)
    await handle.delete()


async def test_a_session_from_before_the_first_sweep_that_is_paid_after_it_is_ours(
    world: World,
) -> None:
    session_id = await world.shop.checkout(await world.shop.price(ACCESS))
    await asyncio.sleep(1.1)
    await world.shop.deliveries("drop")
    async with world.worker():
        await world.sweep()
        await world.shop.pay(session_id)
        assert (await world.sweep()).done == {session_id: Action.START}
        assert (await world.result(session_id)).state is OrderState.FULFILLED


async def test_an_old_url_delivers_nothing_that_was_sold_before_us(world: World) -> None:
    await world.shop.deliveries("drop")
    session_id = await world.shop.buy(ACCESS)
    await asyncio.sleep(1.1)
    async with world.worker():
        await world.sweep()
        # As if it had been sold two days before.
        await world.execute("UPDATE sweeps SET began_at = began_at + interval '2 days'")
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        assert page.status_code == 404
        assert await world.steps(session_id) == {}
    assert await world.order_or_none(session_id) is None


@pytest.mark.parametrize("happens", ["refund", "inquiry", "won"])
async def test_money_that_goes_back_delivers_nothing_that_was_sold_before_us(
    world: World, happens: str
) -> None:
    await world.shop.deliveries("drop")
    sku = await world.new_sku()
    session_id = await world.shop.buy(ACCESS, shipment(sku))
    await asyncio.sleep(1.1)
    async with world.worker():
        await world.sweep()
        # As if it had been sold two days before.
        await world.execute("UPDATE sweeps SET began_at = began_at + interval '2 days'")
        await world.shop.deliveries("normal")
        if happens == "refund":
            told = await world.shop.control(
                "POST", f"/sessions/{session_id}/refund", {"amount": 1000}
            )
            workflow_id = told["refund"]["id"]
        else:
            told = await world.shop.control(
                "POST", f"/sessions/{session_id}/dispute", {"inquiry": happens == "inquiry"}
            )
            workflow_id = told["dispute"]["id"]
            if happens == "won":
                await world.shop.control("POST", f"/disputes/{workflow_id}/close", {"won": True})
        await eventually(partial(_ended, world, workflow_id))
        assert await world.steps(session_id) == {}
    assert await world.order_or_none(session_id) is None
    assert (await world.parcels(session_id), await world.mails()) == ([], [])


async def _ended(world: World, workflow_id: str) -> bool | None:
    try:
        await world.client.get_workflow_handle(workflow_id).result()
    except RPCError:
        return None
    return True


async def test_accounts_that_cannot_be_listed_fail_the_sweep_and_keep_none_of_our_own_from_it(
    world: World,
) -> None:
    await world.shop.deliveries("drop")
    any_account = world.with_settings(stripe_connect_accounts=("*",))
    async with any_account.worker():
        await any_account.sweep()
        session_id = await world.shop.buy(ACCESS)
        fault = {"path": "/v1/accounts$", "method": "GET", "status": 403}
        await world.shop.control("POST", "/faults", fault)
        with pytest.raises(WorkflowFailureError) as failure:
            await any_account.sweep()
        assert "connected accounts: stripe answered 403" in str(failure.value.cause)
        assert (await world.result(session_id)).state is OrderState.FULFILLED


async def test_what_a_second_workflow_delivers_is_mailed_and_nothing_else_again(
    world: World,
) -> None:
    pool = f"pool-{uuid4().hex}"
    key = f"KEY-{uuid4().hex.upper()}"
    keys, _ = parse_pool([key])
    licensed = {"fulfillment": "license_key", "license_key_pool": pool}

    async def mailed(count: int) -> bool | None:
        return len(await world.mails()) == count or None

    async with world.worker():
        session_id = await world.shop.buy(ACCESS, licensed)
        await world.step_in(session_id, "action_required")
        await eventually(partial(mailed, 1))
        await world.delete_workflow(session_id)
        async with world.database.transaction() as connection:
            await import_keys(connection, pool, keys)
        await world.let_rest(session_id)
        await world.sweep()
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    late, receipt = await world.mails()
    assert (key in late["text"], key in receipt["text"]) == (True, False)
    url = ACCESS["access_url"]
    assert (url in late["text"], url in receipt["text"]) == (False, True)
