"""How PostgreSQL carries out all that the service asks of it: `python -m tests.database.plans`.

Fills a database, uses the service in it, and has PostgreSQL explain each different statement
that was executed. Nobody lists the statements: a new one is looked at once something uses it.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import psycopg
from temporalio.client import Client

from database.engine import Database
from database.migrate import upgrade
from local.postgres import embedded_postgres
from local.temporal import embedded_temporal
from tests.harness.many_orders import fill
from tests.harness.statements import Plan, noting_statements, plans_of
from tests.harness.use import command, visit
from tests.harness.world import open_world
from tests.replay.paths import PATHS, SETTINGS, RecordedPath, name_of, worker_of
from workflows.client import connect

READS_ALL = {
    "count(*) AS count, count(CASE WHEN (orders.payment_status": "counts all orders, for /metrics",
    "count(emails.bounced_at)": "counts all mails, for /metrics",
    "count(*) FILTER (WHERE license_keys": "counts all keys, for `fulfillment licenses show`",
    "order_created_at, line_items.line_item_id": "exports all fulfillments of some days",
}
"""What reads a big table as a whole, by a piece of its text, and why it may."""


CHEAP = 100
"""In the planner's unit: what touches some dozen pages."""


def is_excused(plan: Plan) -> bool:
    """Whether a statement may read all there is."""
    return any(piece in plan.statement for piece in READS_ALL)


async def used_plans(
    database_url: str,
    temporal_address: str,
    client: Client,
    folder: Path,
    paths: Iterable[RecordedPath],
    *,
    orders: int,
) -> tuple[Plan, ...]:
    """Uses the service by these paths, looks at all its pages, and runs all its commands.

    The first path has to be that of an order. A table is big that has a row for each twentieth
    order, or more.
    """
    with noting_statements() as statements:
        for number, path in enumerate(paths):
            work = folder / name_of(path)
            work.mkdir()
            opened = open_world(
                database_url, client, temporal_address, work, **SETTINGS.get(path, {})
            )
            async with opened as world, worker_of(path, world):
                session_id = await path(world)
                if number == 0:
                    await visit(world, session_id)
                    await command(world, work)
    async with Database(database_url) as database:
        return await plans_of(database, statements, orders // 20)


async def _run(orders: int, max_cost: float) -> int:
    with ExitStack() as stack:
        database_url = stack.enter_context(embedded_postgres())
        address = stack.enter_context(embedded_temporal())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upgrade(database_url)
        began = time.monotonic()
        fill(database_url, orders)
        print(f"{orders} orders in {time.monotonic() - began:.0f} s")  # noqa: T201 - as below
        client = await connect(address, "default")
        plans = await used_plans(database_url, address, client, folder, PATHS, orders=orders)
        unused = _unused_indexes(database_url, plans)
        size = _size(database_url)
    say = print
    cheap = sum(plan.cost < CHEAP for plan in plans)
    say(f"{len(plans)} different statements, {cheap} of them below {CHEAP}")
    say(f"{size / 1e9:.1f} GB")
    by_cost = sorted(plans, key=lambda plan: -plan.cost)
    for title, chosen in (
        ("Read all of a big table, as they may", [plan for plan in by_cost if is_excused(plan)]),
        ("Cost most of the others", [plan for plan in by_cost if not is_excused(plan)][:5]),
        ("TOO SLOW", bad := [plan for plan in by_cost if is_slow(plan, max_cost)]),
    ):
        say(f"\n{title}: {len(chosen)}")
        for plan in chosen:
            shown = " ".join(plan.statement.split())[:300]
            say(f"  {plan.cost:9.0f}  {' '.join(plan.read_whole)}  {shown}")
    say("\nIndexes that no statement used:")
    for name, megabytes in unused:
        say(f"  {name} {megabytes:.1f} MB")
    return 1 if bad else 0


def is_slow(plan: Plan, max_cost: float) -> bool:
    """Whether a statement reads a big table as a whole, or too much, without an excuse."""
    return bool(plan.read_whole or plan.cost > max_cost) and not is_excused(plan)


def _size(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return row[0] if row else 0


def _unused_indexes(database_url: str, plans: Iterable[Plan]) -> list[tuple[str, float]]:
    used = frozenset().union(*(plan.indexes for plan in plans))
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT relname, pg_relation_size(indexrelid) / 1048576.0 FROM pg_index "
            "JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE NOT indisunique AND relname LIKE 'ix_%' ORDER BY 2 DESC"
        ).fetchall()
    return [(name, float(megabytes)) for name, megabytes in rows if name not in used]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--max-cost", type=float, default=20_000)
    arguments = parser.parse_args()
    raise SystemExit(asyncio.run(_run(arguments.orders, arguments.max_cost)))
