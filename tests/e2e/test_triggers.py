"""Webhook, landing page, both, many times: one fulfillment."""

import asyncio
from functools import partial

from domain.orders import OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually


async def _assert_delivered_once(world: World, session_id: str, sku: str) -> None:
    assert len(await world.parcels(session_id)) == 1
    assert len(await world.mails()) == 1
    assert await world.stock(sku) == 99


async def _all_delivered(world: World) -> int | None:
    """How often the session's completion was delivered, once nothing is under way."""
    completed = [
        delivery["state"]
        for delivery in await world.shop.delivered()
        if delivery["type"] == "checkout.session.completed"
    ]
    return len(completed) if set(completed) == {"succeeded"} else None


async def test_landing_page_alone_fulfills_and_shows_it(world: World) -> None:
    sku = await world.new_sku()
    await world.shop.deliveries("drop")
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku))
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 200
    assert "Thank you for your order" in page.text
    assert ACCESS["access_url"] in page.text
    [parcel] = await world.parcels(session_id)
    assert parcel["tracking_url"] in page.text
    await _assert_delivered_once(world, session_id, sku)


async def test_webhook_before_landing_page(world: World) -> None:
    sku = await world.new_sku()
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku))
        await world.result(session_id)
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert "A receipt is in your mailbox" in page.text
    await _assert_delivered_once(world, session_id, sku)


async def test_landing_page_before_webhook(world: World) -> None:
    sku = await world.new_sku()
    await world.shop.deliveries("hold")
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku))
        await world.api.get("/after-checkout", params={"session_id": session_id})
        await world.shop.deliveries("normal")

        await eventually(partial(_all_delivered, world))
    await _assert_delivered_once(world, session_id, sku)


async def test_fifty_triggers_at_once_are_one_fulfillment(world: World) -> None:
    sku = await world.new_sku()
    await world.shop.deliveries("hold")
    session_id = await world.shop.buy(ACCESS, shipment(sku))
    event_id = await world.shop.completed_event(session_id)
    await world.shop.deliveries("normal")

    async def redeliver() -> None:
        await world.shop.control("POST", f"/events/{event_id}/resend")

    async def land() -> int:
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        return page.status_code

    async with world.worker():
        answers = await asyncio.gather(
            *(land() if number % 2 else redeliver() for number in range(50))
        )
        await world.result(session_id)

        deliveries = await eventually(partial(_all_delivered, world))
    assert deliveries == 26
    assert [answer for answer in answers if answer is not None] == [200] * 25
    await _assert_delivered_once(world, session_id, sku)


async def test_a_deleted_workflow_does_not_deliver_again(world: World) -> None:
    sku = await world.new_sku()
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku))
        first = await world.result(session_id)
        event_id = await world.shop.completed_event(session_id)
        await world.delete_workflow(session_id)

        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        assert ACCESS["access_url"] in page.text
        await world.shop.control("POST", f"/events/{event_id}/duplicate")
        again = await world.result(session_id)
    assert again.state is OrderState.FULFILLED
    assert again.fulfillments == first.fulfillments
    await _assert_delivered_once(world, session_id, sku)
