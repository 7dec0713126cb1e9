"""`fulfillment export`, run as a program."""

import csv
import io
import json
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert

from database.export import Export, columns
from database.tables import orders
from domain.orders import OrderState
from tests.commands.programs import ROOT, Ended, environment, run, run_command
from tests.harness.shop import ACCESS, CUSTOMER, shipment
from tests.harness.world import World

COMMAND = ("export",)
STATUS = Path("/proc/self/status")


async def export(world: World, folder: Path, *arguments: str) -> Ended:
    variables = {"DATABASE_URL": environment(world.settings)["DATABASE_URL"]}
    ended = await run_command(folder, variables, *COMMAND, *arguments)
    assert ended.code == 0, ended.err
    return ended


def rows_of(text: str, session_id: str) -> list[dict[str, str]]:
    return [row for row in csv.DictReader(io.StringIO(text)) if row["session_id"] == session_id]


@asynccontextmanager
async def orders_of(world: World, year: int, count: int, **values: object) -> AsyncIterator[None]:
    """Orders of a year of their own, one a minute, for as long as the block."""
    name = uuid4().hex
    begin = datetime(year, 1, 1, tzinfo=UTC)
    rows = [
        {
            "session_id": f"cs_test_{name}{number}",
            "state": OrderState.FULFILLED,
            "checkout_created_at": begin + timedelta(minutes=number),
            **values,
        }
        for number in range(count)
    ]
    async with world.database.transaction() as connection:
        await connection.execute(insert(orders), rows)
    yield
    async with world.database.transaction() as connection:
        await connection.execute(delete(orders).where(orders.c.session_id.contains(name)))


async def test_an_order_has_amounts_in_minor_units_and_its_buyer(
    world: World, tmp_path: Path
) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, client_reference_id="cart-7")
        await world.result(session_id)
    order = await world.order(session_id)
    [row] = rows_of((await export(world, tmp_path, "orders")).out, session_id)
    assert tuple(row) == columns(Export.ORDERS)
    assert row["state"] == "fulfilled"
    assert row["created_at"] == order.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (row["amount_total_minor"], row["currency"]) == ("1999", "usd")
    assert row["livemode"] == "false"
    assert row["payment_method"] == "card"
    assert (row["customer_email"], row["customer_name"]) == (CUSTOMER["email"], CUSTOMER["name"])
    assert (row["shipping_postal_code"], row["shipping_country"]) == ("62701", "US")
    assert row["client_reference_id"] == "cart-7"
    assert row["subscription_id"] == ""


async def test_fulfillments_tell_what_was_delivered(world: World, tmp_path: Path) -> None:
    sku = await world.new_sku()
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku), quantity=2)
        await world.result(session_id)
    ended = await export(world, tmp_path, "fulfillments", "--format", "jsonl")
    every = [json.loads(line) for line in ended.out.splitlines()]
    access, shipped = [row for row in every if row["session_id"] == session_id]
    assert tuple(access) == columns(Export.FULFILLMENTS)
    assert (access["kind"], access["state"], access["quantity"]) == ("access", "fulfilled", 2)
    assert [each["value"] for each in access["delivered"]] == [ACCESS["access_url"]]
    assert access["tracking_numbers"] is None
    [parcel] = await world.parcels(session_id)
    assert shipped["tracking_numbers"] == parcel["tracking_number"]
    assert shipped["parameters"]["sku"] == sku
    assert (shipped["amount_total_minor"], shipped["currency"]) == (3998, "usd")


async def test_no_cell_is_a_formula(world: World, tmp_path: Path) -> None:
    limits = ("--since", "2001-01-01", "--until", "2002-01-01")
    async with orders_of(world, 2001, 1, customer_name="=cmd|' /C calc'!A0", locale="-1"):
        as_csv = await export(world, tmp_path, "orders", *limits)
        as_json = await export(world, tmp_path, "orders", *limits, "--format", "jsonl")
    [row] = csv.DictReader(io.StringIO(as_csv.out))
    assert row["customer_name"] == "'=cmd|' /C calc'!A0"
    assert row["locale"] == "'-1"
    assert json.loads(as_json.out)["customer_name"] == "=cmd|' /C calc'!A0"


async def test_since_counts_and_until_does_not(world: World, tmp_path: Path) -> None:
    limits = ("--since", "2002-01-01T00:02", "--until", "2002-01-01T00:04")
    async with orders_of(world, 2002, 5):
        ended = await export(world, tmp_path, "orders", *limits)
    created = [row["created_at"] for row in csv.DictReader(io.StringIO(ended.out))]
    assert created == ["2002-01-01T00:02:00Z", "2002-01-01T00:03:00Z"]


@pytest.mark.skipif(not STATUS.exists(), reason="Linux tells a process's own peak of memory")
async def test_many_orders_need_no_more_memory_than_one(world: World, tmp_path: Path) -> None:
    variables = {"DATABASE_URL": environment(world.settings)["DATABASE_URL"]}
    code = (
        "import sys; from commands.cli import build; "
        "build()(['export', *sys.argv[1:]], standalone_mode=False); "
        f"print(next(each.split()[1] for each in open('{STATUS}') if 'VmHWM' in each))"
    )

    async def peak_kib(year: int, count: int) -> int:
        out = tmp_path / f"{year}.csv"
        limits = ("--since", f"{year}-01-01", "--until", f"{year + 1}-01-01", "--out", str(out))
        async with orders_of(world, year, count, stripe_metadata={"note": "x" * 10_000}):
            ended = await run(tmp_path, variables, "-c", code, "orders", *limits)
        assert ended.err == f"{count} orders in {out}\n"
        assert out.stat().st_size > count * 10_000
        return int(ended.out)

    # Chunks of a thousand rows, of which two are in memory for a moment.
    assert await peak_kib(2004, 8000) - await peak_kib(2003, 1) < 40_000


async def test_a_file_is_for_its_owner_only_and_replaces_the_one_before(
    world: World, tmp_path: Path
) -> None:
    out = tmp_path / "orders.csv"
    out.write_text("old")
    limits = ("--until", "1999-01-01", "--out", str(out))
    await export(world, tmp_path, "orders", *limits)
    assert out.read_text() == ",".join(columns(Export.ORDERS)) + "\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not out.with_name("orders.csv.part").exists()


async def test_an_export_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "orders.csv"
    out.write_text("old")
    variables = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    ended = await run_command(tmp_path, variables, *COMMAND, "orders", "--out", str(out))
    assert ended.code == 75
    assert ended.err == "database_unavailable: the database cannot be reached\n"
    assert out.read_text() == "old"


async def test_a_wrong_date_is_told(tmp_path: Path) -> None:
    ended = await run_command(tmp_path, {}, *COMMAND, "orders", "--until", "soon")
    assert ended.code == 2
    assert "'--until': soon: " in ended.err


@pytest.mark.parametrize("what", list(Export))
def test_the_page_on_data_lists_the_columns(what: Export) -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    listed = re.search(rf"^`{what}`: (.+?)\n\n", page, re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert tuple(re.findall(r"`(\w+)`", listed[1])) == columns(what)
