"""Payments that are settled, or lost, long after checkout."""

import asyncio
from datetime import timedelta

from domain.orders import OrderState
from tests.harness.shop import ACCESS
from tests.harness.world import World, eventually
from tests.replay.paths import late_payment
from workflows import options


async def test_success_after_fourteen_days_fulfills(skipping_world: World) -> None:
    world = skipping_world
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        assert "Your payment is on its way" in page.text
        assert 'http-equiv="refresh"' in page.text
        assert ACCESS["access_url"] not in page.text

        await world.skip(timedelta(days=14))
        assert (await world.order(session_id)).state is OrderState.AWAITING_PAYMENT
        assert await world.mails() == []

        await world.shop.settle(session_id)
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert len(await world.mails()) == 1


async def test_a_lost_event_is_made_up_for_by_the_poll(skipping_world: World) -> None:
    world = skipping_world
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        await world.shop.deliveries("drop")
        await world.shop.settle(session_id)
        await world.skip(timedelta(days=1))
        result = await asyncio.wait_for(world.result(session_id), 30)
    assert result.state is OrderState.FULFILLED


async def test_failure_delivers_nothing_and_tells_the_customer(world: World) -> None:
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        await world.shop.fail(session_id)
        result = await world.result(session_id)
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert result.state is OrderState.PAYMENT_FAILED
    assert result.fulfillments == ()
    assert "Your payment did not go through" in page.text
    assert f"/try-again?session_id={session_id}" in page.text
    assert ACCESS["access_url"] not in page.text
    [mail] = await world.mails()
    assert "Your payment did not go through" in mail["subject"]
    assert f"{world.settings.public_url}/try-again?session_id={session_id}" in mail["text"]
    assert ACCESS["access_url"] not in mail["text"]


async def test_a_payment_that_arrives_after_the_order_was_given_up_is_fulfilled(
    world: World,
) -> None:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    fault = {"path": session_id, "method": "GET", "status": 400}
    await world.shop.control("POST", "/faults", fault)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.step_in(session_id, "action_required")
        await world.decide(session_id, "skip", "payment", "nothing will come")
        assert (await world.result(session_id)).state is OrderState.PAYMENT_FAILED

        await world.shop.control("DELETE", "/faults")
        await world.shop.settle(session_id)

        async def fulfilled() -> bool | None:
            return (await world.order(session_id)).state is OrderState.FULFILLED or None

        await eventually(fulfilled)
    assert len(await world.mails()) == 1


async def test_a_payment_that_arrives_while_an_operator_is_answered_is_fulfilled(
    world: World,
) -> None:
    session_id = await late_payment(world)
    assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.mails()) == 1


async def test_a_payment_that_is_never_settled_asks_for_an_operator(
    skipping_world: World,
) -> None:
    world = skipping_world
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        await world.skip(options.PAYMENT_PATIENCE["sepa_debit"] - timedelta(days=1))
        assert (await world.order(session_id)).state is OrderState.AWAITING_PAYMENT
        await world.skip(timedelta(days=2))
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.step == "payment"
        assert "payment_unresolved: after 28 days" in str(stuck.error)
        assert "sepa_debit" in str(stuck.error)
        assert (await world.order(session_id)).state is OrderState.ACTION_REQUIRED
        await world.shop.settle(session_id)
        await world.decide(session_id, "retry", "payment")
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert (await world.order(session_id)).error is None


async def test_an_expired_session_is_recorded_and_delivers_nothing(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.checkout(await world.shop.price(ACCESS))
        await world.shop.control("POST", f"/sessions/{session_id}/expire")

        async def closed() -> OrderState | None:
            order = await world.order_or_none(session_id)
            return order.state if order else None

        assert await eventually(closed) is OrderState.EXPIRED
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert "This checkout has expired" in page.text
