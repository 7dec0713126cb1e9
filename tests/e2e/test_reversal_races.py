"""A refund at every moment of a running fulfillment: nothing of it is left with the customer."""

import asyncio

import pytest
from sqlalchemy import select

from database.tables import downloads, entitlements, fulfillments, license_keys, orders, parcels
from domain.orders import OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually

ORDERS = 25
STEP_S = 0.05
"""Between the moments of those that are refunded after as much was delivered."""
CARRIER_DELAY_MS = 800
PIECES = 2
KEYS = {"fulfillment": "license_key", "license_key_format": "ACME-XXXXX-XXXXX-XXXXX"}


@pytest.mark.timeout(300)
async def test_a_refund_at_any_moment_leaves_nothing_delivered(world: World) -> None:
    folder = world.settings.downloads_folder
    assert folder is not None
    (folder / "a.txt").write_text("a")
    sku = await world.new_sku(100)
    files = {"fulfillment": "download", "download_files": "a.txt"}
    prices = [await world.shop.price(each) for each in (ACCESS, KEYS, files, shipment(sku))]
    # Long enough that many refunds come while a parcel is being booked.
    await world.carrier.post("/faults", json={"delay_ms": CARRIER_DELAY_MS})

    # Few at a time: were all of them begun at once, none would be delivered for long.
    turns = asyncio.Semaphore(4)

    async def has_delivered(session_id: str, count: int) -> bool | None:
        async with world.database.transaction() as connection:
            done = await connection.scalars(
                select(fulfillments.c.kind).where(
                    fulfillments.c.session_id == session_id,
                    fulfillments.c.fulfilled_at.is_not(None),
                )
            )
            return len(done.all()) >= count or None

    async def buy_and_refund(moment: int) -> str:
        """Refunds after none, some or all of it is delivered, and a bit later."""
        count, step = moment % (len(prices) + 1), moment // (len(prices) + 1)
        async with turns:
            session_id = await world.shop.checkout(*prices, quantity=PIECES)
            await world.shop.pay(session_id)
            await eventually(lambda: has_delivered(session_id, count))
            await asyncio.sleep(step * STEP_S)
            await world.shop.control("POST", f"/sessions/{session_id}/refund")
            return session_id

    async with world.worker():
        sessions = await asyncio.gather(*(buy_and_refund(moment) for moment in range(ORDERS)))

        async def all_taken_back() -> bool | None:
            async with world.database.transaction() as connection:
                rows = (
                    await connection.execute(
                        select(fulfillments.c.taken_back, orders.c.state).join(
                            orders, orders.c.session_id == fulfillments.c.session_id
                        )
                    )
                ).all()
            done = [row for row in rows if row == (PIECES, OrderState.REVERSED)]
            return True if len(done) == ORDERS * len(prices) else None

        await eventually(all_taken_back, timeout_s=200)
    async with world.database.transaction() as connection:
        in_hand = (
            select(entitlements.c.session_id)
            .where(entitlements.c.revoked_at.is_(None))
            .union_all(
                select(downloads.c.session_id).where(downloads.c.revoked_at.is_(None)),
                select(license_keys.c.session_id).where(license_keys.c.reversed_at.is_(None)),
                select(parcels.c.session_id).where(parcels.c.status != "canceled"),
            )
        )
        assert (await connection.execute(in_hand)).all() == []
    booked = (await world.carrier.get("/shipments")).json()["shipments"]
    assert all(parcel["canceled"] for parcel in booked)
    assert await world.stock(sku) == 100
    assert len(set(sessions)) == ORDERS
    # Some were refunded before, and some after they were delivered: else this shows nothing.
    async with world.database.transaction() as connection:
        first = await connection.scalars(select(fulfillments.c.fulfilled_at))
    delivered = sum(at is not None for at in first)
    assert 0 < delivered < ORDERS * len(prices)
