"""Runs it: `python -m chaos.run [--seed N] [--minutes N]`, or `make chaos`."""

import argparse
import asyncio
import logging
import random
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
from rich.console import Console
from temporalio.service import RPCError

from chaos.auditor import Auditor
from chaos.customers import Customers
from chaos.faults import Place
from chaos.merchant import open_merchant
from chaos.outside import Reader
from chaos.plan import FULL, Pace, draw
from chaos.report import Run, print_run
from chaos.settling import Reconciliation, settle
from chaos.site import open_site
from chaos.storm import storm
from chaos.wares import STOCK, wares
from database.engine import Database
from database.stock import set_on_hand
from ending import run_to_end
from local.process import PartFailedError
from settings import Settings
from tests.harness.shop import Shop
from workflows.client import connect

DEFAULT_MINUTES = 5.0
SETTLING_S = 15 * 60.0
"""As long as the service takes at most to do again what a process has lost that died with it."""
LOOK_AGAIN_S = 60.0
LOGS = Path(".local/chaos")
SWEEP_EVERY_S = 60.0
"""Elsewhere each quarter of an hour: options.SWEEP_EVERY."""


async def chaos(
    seed: int,
    minutes: float,
    pace: Pace,
    logs: Path,
    say: Callable[[str], None],
    *,
    settling_s: float = SETTLING_S,
) -> Run:
    """Starts everything, breaks it, lets it settle, and audits.

    Args:
        seed: Faults and purchases are drawn from it.
        minutes: For how long.
        pace: How thick they come.
        logs: Where the processes' logs are to be.
        say: Hears of each step.
        settling_s: How long the service may take to come to rest.

    Raises:
        PartFailedError: A part could not start at all.
    """
    plan = draw(seed, minutes * 60, pace)
    say("Starting everything")
    async with _open(seed, logs) as (place, reader, sweeps):
        stock_before = await reader.stock()
        say(f"Customers come, and {len(plan)} faults are drawn from seed {seed}")
        closed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sweeping = group.create_task(_keep_sweeping(sweeps))
            group.create_task(place.customers.buy_until(closed, pace.purchase_every_s))
            happened = await storm(place, plan, say)
            closed.set()
            sweeping.cancel()
        say("The faults are over, and the last customer has gone; now it settles")
        begun = time.monotonic()
        while True:
            left_s = settling_s - (time.monotonic() - begun)
            still_open = await settle(place, sweeps, left_s)
            took_s = time.monotonic() - begun
            say("The auditor reads")
            outside = await reader.read(stock_before)
            verdict = Auditor(place.customers.wares, outside, happened).audit()
            if not verdict.problems or took_s + LOOK_AGAIN_S > settling_s:
                break
            # A sweep takes up what has lost its workflow only after ten quiet minutes.
            say(f"It finds {len(verdict.problems)} problems, and looks again")
            await asyncio.sleep(LOOK_AGAIN_S)
        found = await sweeps.found()
    return Run(
        seed=seed,
        minutes=minutes,
        happened=happened,
        ended=place.site.ended,
        outside=outside,
        paid_at=place.customers.paid_at,
        still_open=still_open,
        settling_s=took_s,
        forgotten=len(place.forgotten),
        found=found,
        verdict=verdict,
    )


@asynccontextmanager
async def _open(seed: int, logs: Path) -> AsyncIterator[tuple[Place, Reader, Reconciliation]]:
    """Everything that a run works on, ready for the first customer."""
    async with AsyncExitStack() as exits:
        site = await exits.enter_async_context(open_site(logs))
        settings = Settings.model_validate(
            {name.lower(): value for name, value in site.environment.items()}
        )
        client = await connect(settings.temporal_address, settings.temporal_namespace)
        secret = settings.app_webhook_secrets[0].get_secret_value()
        merchant = await exits.enter_async_context(open_merchant(secret))
        http = await exits.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        success_url = f"{site.public_url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"
        api_key = settings.stripe_api_key.get_secret_value()
        shop = Shop(settings.stripe_api_base, api_key, success_url)
        exits.push_async_callback(shop.close)
        dice = random.Random(seed)  # noqa: S311 - to be repeated
        customers = Customers(shop, site.public_url, wares(merchant.url), dice)
        sweeps = Reconciliation(client, settings.temporal_task_queue)
        await _fill_stock(settings)
        await customers.open_shop()
        await sweeps.wait_for_first()
        place = Place(site, merchant, customers, client, http)
        yield place, Reader(site, shop, merchant, http), sweeps


async def _fill_stock(settings: Settings) -> None:
    async with (
        Database(settings.database_url.get_secret_value()) as database,
        database.transaction() as connection,
    ):
        for sku, pieces in STOCK.items():
            await set_on_hand(connection, sku, pieces)


async def _keep_sweeping(sweeps: Reconciliation) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        with suppress(RPCError):
            await sweeps.begin()


def main() -> None:
    """Runs the command line; exit code 1 when the auditor finds something."""
    parser = argparse.ArgumentParser(prog="python -m chaos.run", description=__doc__)
    parser.add_argument("--seed", type=int, help="draws the same again; else a new one")
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES)
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    console = Console(highlight=False, soft_wrap=True)
    begun = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - begun:7.1f}  {line}", markup=False)

    # That Temporal is away, now and then, is what is wanted.
    logging.getLogger("temporalio.core").setLevel(logging.ERROR)
    shutil.rmtree(LOGS, ignore_errors=True)  # one run's logs are enough
    try:
        run = asyncio.run(chaos(seed, arguments.minutes, FULL, LOGS, say))
    except PartFailedError as error:
        sys.exit(str(error))
    print_run(console, run)
    if not run.passed:
        sys.exit(f"What the processes had to say is in {LOGS}")


if __name__ == "__main__":
    run_to_end(main)
