"""Events in any order, twice, and about what has changed since: the order is right all the same."""

from domain.orders import OrderState
from tests.harness.shop import ACCESS
from tests.harness.world import World, eventually


async def _checkout_debit(world: World) -> str:
    price = await world.shop.price(ACCESS, currency="eur")
    return await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])


async def _fulfilled(world: World, session_id: str) -> None:
    async def reached() -> bool | None:
        order = await world.order_or_none(session_id)
        return True if order and order.state is OrderState.FULFILLED else None

    await eventually(reached)


async def _subjects(world: World) -> list[str]:
    return sorted(mail["subject"].split(" (")[0] for mail in await world.mails())


async def test_success_before_completed(world: World) -> None:
    session_id = await _checkout_debit(world)
    await world.shop.deliveries("hold")
    await world.shop.pay(session_id, "bank_debit")
    await world.shop.settle(session_id)
    async with world.worker():
        await world.shop.control("POST", "/deliveries", {"mode": "normal", "order": "newest_first"})
        await _fulfilled(world, session_id)
        await _delivered(world, 2)
    assert await _subjects(world) == ["Your order is confirmed"]


async def test_failed_and_then_succeeded_on_a_later_attempt(world: World) -> None:
    session_id = await _checkout_debit(world)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.shop.fail(session_id)
        assert (await world.result(session_id)).state is OrderState.PAYMENT_FAILED
        await world.shop.settle(session_id)
        await _fulfilled(world, session_id)
    assert await _subjects(world) == ["Your order is confirmed", "Your payment did not go through"]


async def test_a_failure_told_after_a_later_attempt_succeeded_changes_nothing(
    world: World,
) -> None:
    session_id = await _checkout_debit(world)
    await world.shop.deliveries("hold")
    await world.shop.pay(session_id, "bank_debit")
    await world.shop.fail(session_id)
    await world.shop.settle(session_id)
    async with world.worker():
        await world.shop.control("POST", "/deliveries", {"mode": "normal", "order": "newest_first"})
        await _fulfilled(world, session_id)
        await _delivered(world, 3)
    order = await world.order(session_id)
    assert order.state is OrderState.FULFILLED
    assert await _subjects(world) == ["Your order is confirmed"]


async def test_success_while_the_payment_waits_for_an_operator(world: World) -> None:
    session_id = await _checkout_debit(world)
    fault = {"path": session_id, "method": "GET", "status": 400}
    await world.shop.control("POST", "/faults", fault)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.step_in(session_id, "action_required")
        await world.shop.control("DELETE", "/faults")
        await world.shop.settle(session_id)
        await _fulfilled(world, session_id)
    assert (await world.order(session_id)).error is None


async def test_a_later_success_while_the_mail_about_the_failure_is_stuck(world: World) -> None:
    session_id = await _checkout_debit(world)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.step_in(session_id, "waiting")
        await world.inbox.post("/api/faults", json={"status": 550, "count": 1})
        await world.shop.fail(session_id)
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.step == "payment_failed_mail"
        await world.shop.settle(session_id)

        async def delivered() -> bool | None:
            return True if "Your order is confirmed" in await _subjects(world) else None

        await eventually(delivered)
        await world.decide(session_id, "skip", stuck.step, "it is paid by now")
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert await _subjects(world) == ["Your order is confirmed"]


async def test_every_event_twice_and_once_more_under_another_id(world: World) -> None:
    session_id = await _checkout_debit(world)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.shop.fail(session_id)
        await world.result(session_id)
        await world.shop.settle(session_id)
        await _fulfilled(world, session_id)
        events = await world.shop.stripe.v1.events.list_async({"type": "checkout.session.*"})
        assert len(events.data) == 3
        for event in events.data:
            await world.shop.control("POST", f"/events/{event.id}/resend")
            await world.shop.control("POST", f"/events/{event.id}/duplicate")
        await _delivered(world, 9)
        await world.result(session_id)
    assert (await world.order(session_id)).state is OrderState.FULFILLED
    assert await _subjects(world) == ["Your order is confirmed", "Your payment did not go through"]


async def test_a_failure_is_mailed_once_though_its_event_comes_after_the_workflow_was_deleted(
    world: World,
) -> None:
    session_id = await _checkout_debit(world)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.shop.fail(session_id)
        await world.result(session_id)
        await world.delete_workflow(session_id)
        [event] = (
            await world.shop.stripe.v1.events.list_async(
                {"type": "checkout.session.async_payment_failed"}
            )
        ).data
        await world.shop.control("POST", f"/events/{event.id}/duplicate")
        assert (await world.result(session_id)).state is OrderState.PAYMENT_FAILED
    assert await _subjects(world) == ["Your payment did not go through"]


async def _delivered(world: World, count: int) -> None:
    """Waits until so many events about sessions were acknowledged."""

    async def acknowledged() -> bool | None:
        states = [
            each["state"]
            for each in await world.shop.delivered()
            if each["type"].startswith("checkout.session.")
        ]
        return True if states.count("succeeded") >= count else None

    await eventually(acknowledged)
