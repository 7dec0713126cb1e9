"""The drill: the database is lost, a backup is restored, and every order is there once."""

import asyncio
import os
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from domain.errors import TransientError
from domain.orders import OrderState
from domain.reconciliation import Action
from local.postgres import binary
from tests.commands.programs import environment, run_command
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually


async def _fulfillment(world: World, folder: Path, *words: str) -> str:
    path = f"{binary('pg_dump').parent}:{os.environ['PATH']}"
    variables = {**environment(world.settings), "PATH": path}
    ended = await run_command(folder, variables, *words)
    assert ended.code == 0, ended.err
    return ended.out


def _lose(database_url: str) -> None:
    """Puts an empty database where the old one was."""
    url = urlsplit(database_url)
    name = Identifier(url.path.strip("/"))
    with psycopg.connect(url._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        connection.execute(SQL("CREATE DATABASE {}").format(name))


async def _reset_running(world: World, session_id: str) -> None:
    """As docs/database.md says: what runs begins anew. Waits until this order's does."""
    run_id = (await world.workflow(session_id).describe()).run_id
    temporal = Path(sys.executable).with_name("temporal")
    process = await asyncio.create_subprocess_exec(
        *(str(temporal), "workflow", "reset", "--address", world.settings.temporal_address),
        *("--type", "FirstWorkflowTask", "--reason", "restored from a backup", "--yes"),
        "--query",
        "ExecutionStatus='Running' AND WorkflowType='FulfillCheckout' "
        f"AND TaskQueue='{world.settings.temporal_task_queue}'",
    )
    assert await process.wait() == 0

    async def is_reset() -> bool | None:
        return (await world.workflow(session_id).describe()).run_id != run_id or None

    await eventually(is_reset)


async def test_all_that_was_bought_is_there_once_after_a_restore(
    world: World, tmp_path: Path
) -> None:
    backup = tmp_path / "orders.backup"
    sku, scarce = await world.new_sku(), await world.new_sku(on_hand=0)
    waiting = {**shipment(scarce), "shipment_out_of_stock": "backorder"}
    async with world.worker():
        await world.sweep()
        # Done, waiting for stock, waiting for its payment.
        done = await world.shop.buy(ACCESS, shipment(sku))
        await world.result(done)
        in_flight = await world.shop.buy(waiting)
        step = await world.step_in(in_flight, "waiting")
        unpaid = await world.buy_delayed(ACCESS)
        told_before = await _mails(world)

        await _fulfillment(world, tmp_path, "backup", str(backup))
        assert backup.stat().st_mode & 0o777 == 0o600

        # How those went on, and new orders: all of it is lost.
        await world.shop.control("POST", f"/sessions/{done}/refund")
        await eventually(partial(_is, world, done, OrderState.REVERSED))
        await world.restock(scarce, 1)
        await world.fulfillments.wake(in_flight, step.step, account=None)
        await world.shop.settle(unpaid)
        new = await world.shop.buy(ACCESS, shipment(sku))
        for each in (in_flight, unpaid, new):
            await world.result(each)
        new_in_flight = await world.shop.buy(waiting)
        await world.step_in(new_in_flight, "waiting")

    assert set((await _mails(world)).values()) == {1}
    _lose(world.settings.database_url.get_secret_value())
    said = await _fulfillment(world, tmp_path, "restore", str(backup))
    assert said.startswith("3 orders")
    with suppress(TransientError):
        # By this the test's own pool learns that its connections are gone.
        await world.order_or_none(done)
    assert await world.order_or_none(new) is None
    assert (await world.order(in_flight)).state is OrderState.FULFILLING
    # What there is, people count: the piece of the order in flight has left before.
    await world.restock(scarce, 2)

    await _reset_running(world, new_in_flight)
    async with world.worker():
        for each in (in_flight, unpaid):
            await world.let_rest(each)
        report = await world.sweep()
        assert report.done[new] is Action.START
        for each in (in_flight, unpaid, new, new_in_flight):
            await eventually(partial(_is, world, each, OrderState.FULFILLED))
        assert (await world.sweep()).done == {}
        # Of what went back, Stripe is asked to tell again.
        refunds = await world.shop.stripe.v1.events.list_async({"type": "refund.created"})
        await world.shop.control("POST", f"/events/{refunds.data[0].id}/resend")
        await eventually(partial(_is, world, done, OrderState.REVERSED))

    listed = (await world.carrier.get("/shipments")).json()["shipments"]
    parcels = Counter(parcel["reference"] for parcel in listed)
    assert sorted(parcels.values()) == [1, 1, 1, 1]
    # One has left, and what was refunded has come back.
    assert (await world.stock(sku), await world.stock(scarce)) == (99, 0)
    # Whose rows were lost goes out again, under the Message-ID that it had.
    told = await _mails(world)
    again = {message_id for message_id, times in told.items() if times == 2}
    assert again
    assert not again & told_before.keys()
    assert max(told.values()) == 2


async def _is(world: World, session_id: str, state: OrderState) -> bool | None:
    order = await world.order_or_none(session_id)
    return True if order is not None and order.state is state else None


async def _mails(world: World) -> Counter[str]:
    """How often each mail came, by its Message-ID."""
    return Counter(dict(mail["headers"])["Message-ID"] for mail in await world.mails())
