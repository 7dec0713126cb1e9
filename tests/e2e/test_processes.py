"""The same stack that `make up` runs, in real processes, some of which are killed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.orders import OrderState
from local.stack import Stack
from settings import Settings
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World, attached_world, eventually
from workflows.client import connect


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack() as running:
        yield running


@pytest.fixture
async def stack_world(stack: Stack) -> AsyncIterator[World]:
    settings = Settings.model_validate(
        {name.lower(): value for name, value in stack.environment.items()}
    )
    client = await connect(
        settings.temporal_address,
        settings.temporal_namespace,
        payload_keys=settings.payload_keys,
    )
    async with attached_world(settings, client, stack.urls["Mail inbox"]) as world:
        await world.inbox.delete("/api/messages")
        yield world
        await world.carrier.delete("/faults")


async def test_a_worker_killed_in_the_middle_of_a_booking_doubles_nothing(
    stack: Stack, stack_world: World
) -> None:
    world = stack_world
    sku = await world.new_sku()
    # The carrier books although nobody hears its answer any more.
    await world.carrier.post("/faults", json={"delay_ms": 3000, "count": 1, "status": None})
    session_id = await world.shop.buy(ACCESS, shipment(sku))

    async def booking() -> bool | None:
        return True if await world.stock(sku) == 99 else None

    await eventually(booking)
    await asyncio.sleep(1)  # by now the carrier has been called, and it takes three seconds
    await stack.kill("worker")
    await asyncio.sleep(3)
    assert len(await world.parcels(session_id)) == 1
    await stack.start("worker")

    result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert len(await world.parcels(session_id)) == 1
    assert await world.stock(sku) == 99
    assert len(await world.mails()) == 1
    order = await world.order(session_id)
    assert order.lines[1].fulfillments[0].parcels[0].tracking_number is not None


async def test_what_temporal_could_not_accept_is_fulfilled_by_stripes_redelivery(
    stack: Stack, stack_world: World
) -> None:
    world = stack_world
    recorded = await world.shop.buy(ACCESS, MANUAL)
    await world.step_in(recorded, "awaiting_operator")

    async def receipts() -> bool | None:
        return bool(await world.mails()) or None

    # Its receipt is not to come after those of before were deleted.
    await eventually(receipts)
    await world.inbox.delete("/api/messages")
    await stack.kill("temporal")
    session_id = await world.shop.buy(ACCESS)

    async def refused() -> dict[str, Any] | None:
        for delivery in await world.shop.delivered():
            if delivery["object"] == session_id and delivery["attempts"]:
                return dict(delivery["attempts"][0]["response"])
        return None

    response = await eventually(refused)
    assert response["status"] == 503
    assert response["headers"]["retry-after"] == "5"
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 503
    assert "it is safe and will be delivered" in page.text
    assert await world.order_or_none(session_id) is None
    page = await world.api.get("/after-checkout", params={"session_id": recorded})
    assert page.status_code == 200
    assert ACCESS["access_url"] in page.text

    await stack.start("temporal")
    result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert len(await world.mails()) == 1


async def test_a_worker_told_to_stop_finishes_what_it_began(
    stack: Stack, stack_world: World
) -> None:
    world = stack_world
    sku = await world.new_sku()
    await world.carrier.post("/faults", json={"delay_ms": 1000, "count": 1, "status": None})
    session_id = await world.shop.buy(shipment(sku))

    async def booking() -> bool | None:
        return True if await world.stock(sku) == 99 else None

    await eventually(booking)
    await stack.stop("worker")
    order = await world.order(session_id)
    assert order.lines[0].fulfillments[0].parcels[0].tracking_number is not None
    await stack.start("worker")
    assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.parcels(session_id)) == 1
