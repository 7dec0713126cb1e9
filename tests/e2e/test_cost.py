"""What an order asks of Stripe, the carrier and the database, as docs/cost.md says."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from temporalio.client import Client

from tests.harness.shop import ACCESS, shipment
from tests.harness.world import Heard, World, open_world

ROW = re.compile(r"\| `(\w+)` \|[^|]*\| (\d+) \| (\d+) \| (\d+) \|")
TABLE = {
    row[1]: tuple(int(number) for number in row.groups()[1:])
    for row in map(
        ROW.match, (Path(__file__).parent.parent.parent / "docs/cost.md").read_text().splitlines()
    )
    if row is not None
}


@contextmanager
def counting_statements() -> Iterator[list[str]]:
    """Notes each statement that any engine of this process executes."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
async def heard() -> list[Heard]:
    return []


@pytest.fixture
async def heard_world(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path, heard: list[Heard]
) -> AsyncIterator[World]:
    async with (
        open_world(database_url, client, temporal_address, tmp_path, heard) as world,
        world.worker(),
    ):
        yield world


async def _mixed_order(world: World, heard: list[Heard]) -> list[str]:
    prices = [await world.shop.price(each) for each in (ACCESS, shipment(await world.new_sku()))]
    session_id = await world.shop.checkout(*prices)
    heard.clear()
    with counting_statements() as statements:
        await world.shop.pay(session_id)
        await world.result(session_id)
    return statements


async def _visit(world: World, heard: list[Heard]) -> list[str]:
    session_id = await world.shop.buy(ACCESS)
    await world.result(session_id)
    heard.clear()
    with counting_statements() as statements:
        page = await world.api.get(f"/after-checkout?session_id={session_id}")
    assert page.status_code == 200
    return statements


async def _delayed_payment(world: World, heard: list[Heard]) -> list[str]:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    heard.clear()
    with counting_statements() as statements:
        await world.shop.pay(session_id, "bank_debit")
        await world.step_in(session_id, "waiting")
        await world.shop.settle(session_id)
        await world.result(session_id)
    return statements


async def _sweep(world: World, heard: list[Heard]) -> list[str]:
    await world.sweep()
    heard.clear()
    with counting_statements() as statements:
        await world.sweep()
    return statements


Path_ = Callable[[World, list[Heard]], Awaitable[list[str]]]
PATHS: dict[str, Path_] = {
    "mixed_order": _mixed_order,
    "delayed_payment": _delayed_payment,
    "visit": _visit,
    "sweep": _sweep,
}


def test_each_path_is_in_the_table() -> None:
    assert set(TABLE) == set(PATHS)


@pytest.mark.parametrize("name", PATHS)
async def test_an_order_calls_as_often_as_the_table_says(
    heard_world: World, heard: list[Heard], name: str
) -> None:
    statements = await PATHS[name](heard_world, heard)
    paths = [(each.method, each.path) for each in heard if "/_emulator" not in each.path]
    stripe = [each for each in heard if each.by == "stripe" and "/_emulator" not in each.path]
    carrier = [each for each in heard if each.by == "carrier"]
    found = (len(stripe), len(carrier), len(statements))
    assert found == TABLE.get(name), (paths, statements)
