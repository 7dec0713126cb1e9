"""Task queues split by concern: workers that serve some of them, and orders that go through all."""

from datetime import UTC, datetime

from commands.checks.registry import open_site
from commands.checks.temporal import worker_polls
from domain.concerns import Concern
from domain.orders import FulfillmentState, OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually


async def _queues_used(world: World, session_id: str) -> dict[str, str]:
    """On which queue each regular activity of an order ran, after the world's own queue's name."""
    history = await world.workflow(session_id).fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    own = world.settings.temporal_task_queue
    return {each.activity_type.name: each.task_queue.name.removeprefix(own) for each in scheduled}


async def test_each_concern_has_workers_of_its_own(world: World) -> None:
    split = world.with_settings(split_task_queues=True)
    orders = split.with_settings(worker_concerns=(Concern.FULFILLMENT,))
    others = split.with_settings(worker_concerns=(Concern.SHIPPING, Concern.MAIL))
    async with orders.worker():
        session_id = await world.shop.buy(ACCESS, shipment(await world.new_sku()))

        async def granted() -> bool | None:
            order = await world.order_or_none(session_id)
            states = [line.fulfillments[0].state for line in order.lines] if order else []
            return True if FulfillmentState.FULFILLED in states else None

        await eventually(granted)
        assert await world.parcels(session_id) == []
        queue = world.settings.temporal_task_queue
        async with open_site(split.settings, lambda: datetime.now(UTC)) as site:
            assert (await worker_polls.look(site)).found == (
                f"none on the task queue {queue}-shipping, {queue}-mail: orders wait"
            )
        async with others.worker():
            assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.parcels(session_id)) == 1
    assert len(await world.mails()) == 1
    assert await _queues_used(world, session_id) == {
        "book_shipment": "-shipping",
        "send_receipt": "-mail",
    }
