"""Outside systems are asked no more often than they are said to take, by all workers together."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

from connection import connect_by
from database.engine import Database
from database.paces import take_turn
from domain.orders import OrderState
from tests.harness.kinds import activities_of_worker
from tests.harness.shop import shipment
from tests.harness.world import World
from worker import CARRIER_JOBS, MAIL_JOBS

GAP = timedelta(milliseconds=50)
PATIENCE = timedelta(milliseconds=500)
ORDERS = 10
PER_SECOND = 4


async def test_turns_are_handed_out_once_each_to_many_at_once(database_url: str) -> None:
    async def take(database: Database) -> float | None:
        async with database.transaction() as connection:
            wait = await take_turn(connection, "somebody", GAP, PATIENCE)
            at = time.monotonic()
        return None if wait is None else at + wait.total_seconds()

    async with Database(database_url) as one, Database(database_url) as other:
        began = time.monotonic()
        taken = await asyncio.gather(*(take(each) for each in (one, other) for _ in range(40)))
        turns = sorted(turn for turn in taken if turn is not None)
        lasted = turns[-1] - turns[0]
    # Those who asked in vain have taken none: as many as fit into the time.
    fit = (time.monotonic() - began + PATIENCE.total_seconds()) / GAP.total_seconds() + 1
    assert 10 < len(turns) <= fit
    assert lasted > (len(turns) - 1) * GAP.total_seconds() * 0.9


async def test_two_workers_together_keep_to_the_carriers_limit(world: World) -> None:
    limited = world.with_settings(carrier_jobs_per_second=PER_SECOND)
    sku = await world.new_sku()
    price = await world.shop.price(shipment(sku))
    # Temporal's SDK runs one worker of a queue for each client.
    other = replace(limited, client=await connect_by(limited.settings))
    async with limited.worker(), other.worker():
        began = time.monotonic()
        orders = [await world.shop.checkout(price) for _ in range(ORDERS)]
        await asyncio.gather(*(world.shop.pay(order) for order in orders))
        results = await asyncio.gather(*(world.result(order) for order in orders))
        lasted = time.monotonic() - began
    assert {result.state for result in results} == {OrderState.FULFILLED}
    assert [len(await world.parcels(order)) for order in orders] == [1] * ORDERS
    assert lasted > (ORDERS - 1) / PER_SECOND


async def test_each_job_that_has_a_limit_is_an_activity(world: World) -> None:
    async with activities_of_worker(world, []) as activities:
        names = {activity.__name__ for activity in activities}
    assert {*CARRIER_JOBS, *MAIL_JOBS} <= names
