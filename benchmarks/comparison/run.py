"""Runs the comparison: `python -m benchmarks.comparison.run [--quick] [--only dbos,restate]`."""

import argparse
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psycopg
import uvloop
from psycopg import sql
from rich.console import Console

from benchmarks.comparison.market import Market
from benchmarks.comparison.measure import FULL, QUICK, Size, measure
from benchmarks.comparison.report import Results, print_results, write_results
from benchmarks.comparison.systems import PEERS, Ours, Peer, Surroundings, System, missing
from benchmarks.comparison.versions import describe
from benchmarks.outside import Outside
from benchmarks.service import SKU
from database.engine import Database
from database.stock import set_on_hand
from local.stack import Stack
from settings import Settings
from workflows.client import connect
from workflows.schedule import schedule_id

SCHEMA = Path(__file__).parent.parent / "peers" / "schema.sql"
STAND_INS = ("stripe", "carrier", "inbox")


async def compare(names: Sequence[str], size: Size, console: Console) -> Results:
    """Measures the service and the peers in turns.

    Args:
        names: Which peers, of `PEERS`.
        size: How much.
        console: Takes lines on how far it is.

    Raises:
        WrongResultError: One did not fulfill each order once, without any crash.
    """
    console.print("Starting the stack")
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(only_orders=True))
        settings = Settings.model_validate(
            {name.lower(): value for name, value in stack.environment.items()}
        )
        ours = Ours(stack)
        machine = await describe(settings, stack.log("postgres").parent, names)
        await _prepare(settings, size)
        await ours.stop()
        folder = Path(mkdtemp(prefix="peers-"))
        systems: list[System] = [ours]
        for name in names:
            around = Surroundings(folder, _environment(stack, settings, name))
            systems.append(Peer(PEERS[name](around), folder / "logs"))
        outside = await exits.enter_async_context(Outside(settings, stack.urls["Mail inbox"]))
        market = Market(settings, stack.urls["Mail inbox"], outside)
        exits.push_async_callback(market.close)
        shared = {
            "PostgreSQL": [stack.pid("postgres")],
            "stand-ins": [stack.pid(name) for name in STAND_INS],
        }
        results = Results(machine, size, {system.name: [] for system in systems})
        for number in range(size.rounds):
            for system in systems:
                found = await measure(system, market, size, shared)
                results.turns[system.name].append(found)
                console.print(
                    f"  round {number + 1} of {size.rounds}, {system.name}: "
                    f"acknowledged {found.ack_p50_ms:.1f} ms, "
                    f"end to end {found.end_to_end_p50_ms:.0f} ms, "
                    f"{found.orders_per_s:.0f}/s; crash: {found.crash.lost} lost, "
                    f"{found.crash.mailed_twice} mailed twice, "
                    f"{found.crash.called_twice} carrier calls repeated, "
                    f"over after {found.crash.recovered_s:.0f} s"
                )
    # After a failure it stays, for the logs in it.
    rmtree(folder)
    return results


async def _prepare(settings: Settings, size: Size) -> None:
    """Gives the service its stock, and keeps it from what is sold to the customers of others."""
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    schedule = client.get_schedule_handle(schedule_id(settings.temporal_task_queue))
    await schedule.pause(note="the sessions that it would find are other systems'")
    async with (
        Database(settings.database_url.get_secret_value()) as database,
        database.transaction() as connection,
    ):
        await set_on_hand(connection, SKU, size.orders * size.rounds)


def _environment(stack: Stack, settings: Settings, name: str) -> dict[str, str]:
    """A peer's settings; makes its database."""
    url = stack.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    own_url = f"{url.rpartition('/')[0]}/{name}"
    with psycopg.connect(own_url, autocommit=True) as connection:
        connection.execute(SCHEMA.read_bytes())
    return {
        "DATABASE_URL": own_url,
        "STRIPE_API_KEY": settings.stripe_api_key.get_secret_value(),
        "STRIPE_API_BASE": settings.stripe_api_base,
        "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secrets[0].get_secret_value(),
        "CARRIER_URL": settings.carrier_url,
        "SMTP_URL": settings.smtp_url.get_secret_value(),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison.run")
    parser.add_argument("--quick", action="store_true", help="one short round, to see it work")
    parser.add_argument("--rounds", type=int, help="how often to measure; more make it steadier")
    parser.add_argument("--only", help=f"some of them, by commas: {','.join(PEERS)}")
    parser.add_argument("--write", type=Path, help="a folder for the table and the plots")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(PEERS)
    if unknown := set(names) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    size = QUICK if arguments.quick else FULL
    if arguments.rounds is not None:
        if arguments.rounds < 1:
            parser.error("--rounds takes a number from 1")
        size = replace(size, rounds=arguments.rounds)
    console = Console(highlight=False, soft_wrap=True)
    present = []
    for name in names:
        if lack := missing(name):
            console.print(f"[yellow]{name} is left out. {lack}[/]")
        else:
            present.append(name)
    results = uvloop.run(compare(present, size, console))
    print_results(console, results)
    if arguments.write:
        write_results(arguments.write, results)


if __name__ == "__main__":
    main()
