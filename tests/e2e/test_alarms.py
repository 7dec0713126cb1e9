"""A wrong key is an alarm: an operator sees it, and the order goes on once it is mended."""

from datetime import timedelta

import pytest

from domain.orders import OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually
from workflows.options import STRIPE


async def _state(world: World, session_id: str) -> OrderState | None:
    order = await world.order_or_none(session_id)
    return order.state if order else None


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_stripe_refuses_is_an_alarm_that_ends_by_itself(
    skipping_world: World, status: int
) -> None:
    world = skipping_world
    fault = {"path": "checkout/sessions/cs_", "method": "GET", "status": status}
    await world.shop.control("POST", "/faults", fault)
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        alarm = await world.step_in(session_id, "alarm")
        assert alarm.step == "payment"
        assert f"stripe_unauthorized: stripe answered {status}" in str(alarm.error)
        order = await world.order(session_id)
        assert order.state is OrderState.ACTION_REQUIRED
        assert "stripe_unauthorized" in str(order.error)

        # Beyond the time after which a passing trouble is handed to an operator.
        await world.skip(STRIPE.give_up_after + timedelta(hours=6))
        assert (await world.step_in(session_id, "alarm")).tries > 70

        await world.shop.control("DELETE", "/faults")
        await world.skip(timedelta(hours=1))
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert (await world.order(session_id)).error is None


async def test_an_operator_need_not_wait_for_the_alarm_to_end(world: World) -> None:
    async with world.worker():
        await world.carrier.post("/faults", json={"status": 401})
        session_id = await world.shop.buy(shipment(await world.new_sku()), ACCESS)
        alarm = await world.step_in(session_id, "alarm")
        # What the alarm does not concern goes on, and the customer hears of it.
        await eventually(lambda: _mailed(world))
        await world.carrier.post("/faults", json={})
        await world.decide(session_id, "retry", alarm.step)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.parcels(session_id)) == 1


async def test_a_session_that_stripe_does_not_know_ends_quietly_with_a_record(
    world: World,
) -> None:
    session_id = "cs_test_a1SomebodyElsesSession0001"
    async with world.worker():
        await world.fulfillments.trigger(session_id)
        assert (await world.result(session_id)).state is OrderState.UNKNOWN_SESSION
        steps = await world.steps(session_id)
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    order = await world.order(session_id)
    assert order.state is OrderState.UNKNOWN_SESSION
    assert "session_unknown: stripe knows no such session" in str(order.error)
    assert {view.state for view in steps.values()} == {"done"}
    assert page.status_code == 404
    assert await world.mails() == []


async def test_a_session_that_was_known_late_is_fulfilled_all_the_same(world: World) -> None:
    await world.shop.deliveries("hold")
    fault = {"path": "/v1/checkout/sessions/cs_", "method": "GET", "status": 404, "count": 1}
    session_id = await world.shop.buy(ACCESS)
    await world.shop.control("POST", "/faults", fault)
    async with world.worker():
        await world.fulfillments.trigger(session_id)
        assert (await world.result(session_id)).state is OrderState.UNKNOWN_SESSION
        await world.shop.deliveries("normal")

        async def fulfilled() -> bool | None:
            return await _state(world, session_id) is OrderState.FULFILLED or None

        await eventually(fulfilled)
    assert (await world.order(session_id)).error is None
    assert len(await world.mails()) == 1


async def test_a_key_of_another_account_strands_no_known_order(world: World) -> None:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")

        async def waiting() -> bool | None:
            return await _state(world, session_id) is OrderState.AWAITING_PAYMENT or None

        await eventually(waiting)
        fault = {"path": session_id, "method": "GET", "status": 404}
        await world.shop.control("POST", "/faults", fault)
        await world.shop.settle(session_id)
        stuck = await world.step_in(session_id, "action_required")
        assert "session_unknown" in str(stuck.error)
        await world.shop.control("DELETE", "/faults")
        await world.decide(session_id, "retry", "payment")
        assert (await world.result(session_id)).state is OrderState.FULFILLED


async def _mailed(world: World) -> bool | None:
    return True if await world.mails() else None
