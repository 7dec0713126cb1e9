"""Kind `license_key`: made keys, and pools that no two orders get the same key of."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from activities.licenses import IssueLicensesInput, LicenseActivities
from database.licenses import count_free, import_keys
from database.tables import license_keys
from domain.errors import PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.licenses import normal_form
from domain.orders import DeliverableType, OrderState
from tests.harness.paid_orders import record_order
from tests.harness.world import World


def _metadata(pool: str) -> dict[str, str]:
    return {"fulfillment": "license_key", "license_key_pool": pool}


async def _fill(world: World, count: int) -> tuple[str, set[str]]:
    pool = f"pool-{uuid4().hex[:8]}"
    keys = {f"{pool}-{number:03}" for number in range(count)}
    async with world.database.transaction() as connection:
        assert await import_keys(connection, pool, {normal_form(key): key for key in keys}) == count
    return pool, keys


async def _keys_of(world: World, session_id: str) -> list[str]:
    [line] = (await world.order(session_id)).lines
    [item] = line.fulfillments
    assert {each.type for each in item.delivered} <= {DeliverableType.KEY}
    return [each.value for each in item.delivered]


async def test_each_piece_has_a_key_on_the_page_and_in_the_mail(world: World) -> None:
    metadata = {"fulfillment": "license_key", "license_key_format": "A-XXXXXX-XXXXXX"}
    async with world.worker():
        session_id = await world.shop.buy(metadata, quantity=3)
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    keys = await _keys_of(world, session_id)
    assert len(set(keys)) == 3
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    [mail] = await world.mails()
    for key in keys:
        assert key in page.text
        assert key in mail["text"]


async def test_an_empty_pool_waits_for_more_and_takes_none_until_then(world: World) -> None:
    pool, keys = await _fill(world, 1)
    async with world.worker():
        session_id = await world.shop.buy(_metadata(pool), quantity=2)
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.error == (
            f"pool_empty: pool {pool} has 1 keys left and 2 are wanted: import more, then retry"
        )
        async with world.database.transaction() as connection:
            assert await count_free(connection, pool) == 1
            await import_keys(connection, pool, {normal_form(f"{pool}-b"): f"{pool}-b"})
        await world.decide(session_id, "retry", stuck.step)
        await world.result(session_id)
    assert set(await _keys_of(world, session_id)) == {*keys, f"{pool}-b"}


async def test_no_key_is_handed_out_twice_however_many_buy_at_once(world: World) -> None:
    pool, keys = await _fill(world, 60)
    quantities = [1, 2, 3] * 15
    async with world.database.transaction() as connection:
        refs = [
            await record_order(connection, "license_key", {"pool": pool}, quantity=quantity)
            for quantity in quantities
        ]
    activities = LicenseActivities(world.database)

    async def issue(ref: FulfillmentRef) -> bool:
        request = IssueLicensesInput(fulfillment=ref, pool=pool)
        while True:
            try:
                # Twice at once, as when a try that was given up on goes on.
                await asyncio.gather(*(activities.issue_licenses(request) for _ in range(2)))
            except TransientError:
                await asyncio.sleep(0)
            except PermanentError:
                return False
            else:
                return True

    delivered = await asyncio.gather(*(issue(ref) for ref in refs))
    async with world.database.transaction() as connection:
        left = await count_free(connection, pool)
        mine = license_keys.c.pool == pool
        counted = await connection.execute(
            select(license_keys.c.session_id, func.count())
            .where(mine, license_keys.c.session_id.is_not(None))
            .group_by(license_keys.c.session_id)
        )
    issued = {row[0]: row[1] for row in counted}
    # Who was refused wanted more than there were, so few or none are left.
    assert left < 3
    assert sum(issued.values()) == len(keys) - left
    wanted = dict(zip((ref.session_id for ref in refs), quantities, strict=True))
    assert issued == {
        ref.session_id: wanted[ref.session_id]
        for ref, done in zip(refs, delivered, strict=True)
        if done
    }


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, "give one of license_key_format and license_key_pool"),
        ({"license_key_format": "SHORT-XXXXX"}, "license_key_format: needs 12 X"),
        ({"license_key_pool": "p", "license_key_duration": "P1H"}, "license_key_duration: "),
    ],
)
async def test_a_wrong_description_is_told(
    world: World, parameters: dict[str, str], problem: str
) -> None:
    async with world.worker():
        session_id = await world.shop.buy({"fulfillment": "license_key", **parameters})
        stuck = await world.step_in(session_id, "action_required")
    assert problem in (stuck.error or "")
