"""Runs the benchmark: `python -m benchmarks.run [--quick] [--rounds N] [--write FOLDER]`."""

import argparse
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks.bare import Bare, bare_worker
from benchmarks.cpu import CpuMeter
from benchmarks.machine import describe_machine
from benchmarks.outside import Outside
from benchmarks.pages import Pages
from benchmarks.report import print_machine, print_results, write_results
from benchmarks.rounds import FULL, QUICK, Contestant, Size, run_rounds
from benchmarks.service import SKU, Service
from benchmarks.watch import Watch
from database.engine import Database
from database.stock import set_on_hand
from local.stack import Stack
from settings import Settings
from workflows.client import connect

STAND_INS = ("stripe", "carrier", "inbox")


class WrongResultError(Exception):
    """The orders were not each fulfilled once, so the figures mean nothing."""


async def bench(size: Size, console: Console, folder: Path | None) -> None:
    """Starts a stack of its own, measures, checks, and prints.

    Args:
        size: How much is measured.
        console: Takes the tables.
        folder: Takes them as a page with plots; None: none is written.

    Raises:
        WrongResultError: An effect is missing, or there twice.
    """
    console.print("Starting the stack")
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(only_orders=True))
        settings = Settings.model_validate(
            {name.lower(): value for name, value in stack.environment.items()}
        )
        address, namespace = settings.temporal_address, settings.temporal_namespace
        client = await connect(address, namespace)
        database = Database(settings.database_url.get_secret_value())
        service = await exits.enter_async_context(Service(settings))
        outside = await exits.enter_async_context(Outside(settings, stack.urls["Mail inbox"]))
        logs = stack.log("worker").parent
        bare_pid = exits.enter_context(bare_worker(address, namespace, logs / "bare.log"))

        console.print(f"Preparing {size.orders} paid Checkout Sessions")
        await exits.enter_async_context(database)
        async with database.transaction() as connection:
            await set_on_hand(connection, SKU, size.orders)
        session_id = await service.sell(size.cards)
        await outside.slow_down()
        outside_times = await outside.measure(session_id)
        machine = await describe_machine(client, settings, logs)
        print_machine(console, machine)

        def meter(worker_pid: int) -> CpuMeter:
            return CpuMeter(
                {
                    "Temporal server": [stack.pid("temporal")],
                    "worker": [worker_pid],
                    "API": [stack.pid("api")],
                    "PostgreSQL": [stack.pid("postgres")],
                    "stand-ins": [stack.pid(name) for name in STAND_INS],
                }
            )

        watch = Watch(client)
        results = await run_rounds(
            Contestant(service.submit, meter(stack.pid("worker")), watch),
            Contestant(Bare(client).submit, meter(bare_pid), watch),
            size,
            console.print,
        )
        console.print("Pages")
        pages = await exits.enter_async_context(Pages(settings.public_url, database, service))
        page_figures = await pages.measure(size.pages)
        parcels, mails = await outside.parcels(), await outside.mails()
    print_results(console, results, page_figures, outside_times)
    console.print(f"{size.orders} orders, {parcels} parcels, {mails} mails")
    if not size.orders == parcels == mails:
        raise WrongResultError("not every order was fulfilled exactly once")
    if folder is not None:
        write_results(folder, results, page_figures, outside_times, machine)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to see it work")
    parser.add_argument("--rounds", type=int, help="how often to measure; more make it steadier")
    parser.add_argument("--write", type=Path, help="a folder for the tables and the plots")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    if arguments.rounds is not None:
        if arguments.rounds < 1:
            parser.error("--rounds takes a number from 1")
        size = replace(size, rounds=arguments.rounds)
    try:
        uvloop.run(bench(size, Console(highlight=False, soft_wrap=True), arguments.write))
    except WrongResultError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
