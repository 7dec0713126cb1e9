"""Many at once: a burst of webhooks, and thousands of orders that wait for their payment.

    python -m benchmarks.crowd [--burst N] [--waiting N]

A burst is sent as fast as it is taken. What is answered 503 is sent again after the time that the
answer names, as Stripe does after longer ones. Those that wait have paid by bank debit: what the
worker uses is measured before the first of them, while all wait, and until all are fulfilled, once
all debits have arrived.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import quantiles

import httpx
import psutil
import uvloop
from rich.console import Console
from sqlalchemy import func, select

from benchmarks.machine import describe_machine
from benchmarks.outside import Outside
from benchmarks.pace import at_most
from benchmarks.report import print_machine
from benchmarks.run import WrongResultError
from benchmarks.service import SKU, Service, Webhook
from database.engine import Database
from database.stock import set_on_hand
from database.tables import orders
from domain.orders import OrderState
from local.stack import Stack
from settings import Settings
from workflows.client import connect

BURST = 2_000
WAITING = 10_000
AT_ONCE = 200
"""How many webhooks of the burst are on their way at any time."""
SOLD_AT_ONCE = 500
SETTLED_AT_ONCE = 50
QUIET_S = 60.0
"""For how long the worker is watched that has nothing to do."""
SETTLE_S = 30.0
"""Before that, for what is still done about the orders before."""
LOOK_S = 1.0
PATIENCE_S = 3600


@dataclass
class Burst:
    """How a burst went.

    Attributes:
        acks_ms: How long each 2xx took, from the sending of that request.
        statuses: How often each status was answered.
        taken_s: After how many seconds all were acknowledged.
        fulfilled_s: After how many all orders were fulfilled.
    """

    acks_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    taken_s: float = 0
    fulfilled_s: float = 0


@dataclass(frozen=True)
class Use:
    """What the workers used.

    Attributes:
        cpu_share: Of one core.
        memory_mb: Resident, at the end.
    """

    cpu_share: float
    memory_mb: float


class Crowd:
    """Everybody who buys.

    Args:
        service: Sells, and sends webhooks.
        database: Knows how orders stand.
        worker: The process that works on them.
    """

    def __init__(self, service: Service, database: Database, worker: psutil.Process) -> None:
        self._service = service
        self._database = database
        self._worker = worker

    async def burst(self, count: int) -> Burst:
        """Sends the webhooks of so many sold orders, and waits until all are fulfilled."""
        seen = Burst()
        begun = time.monotonic()
        webhooks = [self._service.next_webhook() for _ in range(count)]
        await at_most(AT_ONCE, lambda webhook: self._deliver(webhook, seen), webhooks)
        seen.taken_s = time.monotonic() - begun
        await self._until(OrderState.FULFILLED, count)
        seen.fulfilled_s = time.monotonic() - begun
        return seen

    async def _deliver(self, webhook: Webhook, seen: Burst) -> None:
        while True:
            begun = time.perf_counter()
            answer = await self._service.send(webhook)
            seen.statuses[answer.status_code] += 1
            if answer.is_success:
                seen.acks_ms.append((time.perf_counter() - begun) * 1000)
                return
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise WrongResultError(f"a webhook was answered {answer.status_code}")
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    async def wait_for_payment(self, count: int) -> list[str]:
        """Has so many customers pay by bank debit, and waits until the orders do."""
        sold: list[str] = []
        while len(sold) < count:
            sold += await self._service.sell_delayed(min(SOLD_AT_ONCE, count - len(sold)))
            await self._until(OrderState.AWAITING_PAYMENT, len(sold))
        return sold

    async def settle(self, sold: Sequence[str]) -> float:
        """Has all debits arrive at once; returns after how many seconds all are fulfilled."""
        before = await self._count(OrderState.FULFILLED)
        begun = time.monotonic()
        await at_most(SETTLED_AT_ONCE, self._service.settle, sold)
        await self._until(OrderState.FULFILLED, before + len(sold))
        return time.monotonic() - begun

    async def idle(self) -> Use:
        """What the worker uses while nothing is asked of it."""
        await asyncio.sleep(SETTLE_S)
        before = self._worker.cpu_times()
        await asyncio.sleep(QUIET_S)
        after = self._worker.cpu_times()
        used_s = after.user + after.system - before.user - before.system
        return Use(used_s / QUIET_S, self._worker.memory_info().rss / 1e6)

    async def _until(self, state: OrderState, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if await self._count(state) >= count:
                    return
                await asyncio.sleep(LOOK_S)

    async def _count(self, state: OrderState) -> int:
        async with self._database.transaction() as connection:
            counted = await connection.scalar(
                select(func.count()).select_from(orders).where(orders.c.state == state)
            )
        return int(counted or 0)


async def measure(burst: int, waiting: int, console: Console) -> None:
    """Starts a stack of its own, measures, checks, and prints.

    Raises:
        WrongResultError: An order is missing, or there twice, or a webhook met an error.
    """
    console.print("Starting the stack")
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(Stack(only_orders=True))
        settings = Settings.model_validate(
            {name.lower(): value for name, value in stack.environment.items()}
        )
        database = await exits.enter_async_context(
            Database(settings.database_url.get_secret_value())
        )
        service = await exits.enter_async_context(Service(settings))
        outside = await exits.enter_async_context(Outside(settings, stack.urls["Mail inbox"]))
        await service.subscribe()
        async with database.transaction() as connection:
            await set_on_hand(connection, SKU, burst + waiting)
        client = await connect(settings.temporal_address, settings.temporal_namespace)
        folder = stack.log("worker").parent
        print_machine(console, await describe_machine(client, settings, folder))
        crowd = Crowd(service, database, psutil.Process(stack.pid("worker")))

        console.print(f"Selling {burst} orders")
        await service.sell(burst)
        seen = await crowd.burst(burst)
        statuses = ", ".join(f"{count} x {status}" for status, count in seen.statuses.items())
        cuts = quantiles(seen.acks_ms, n=100)
        console.print(
            f"Burst: {burst} webhooks, {AT_ONCE} at once: {statuses}; all taken after "
            f"{seen.taken_s:.0f} s, p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms; all fulfilled "
            f"after {seen.fulfilled_s:.0f} s, {burst / seen.fulfilled_s:.1f}/s"
        )

        before = await crowd.idle()
        sold = await crowd.wait_for_payment(waiting)
        while_waiting = await crowd.idle()
        console.print(
            f"The worker, over {QUIET_S:.0f} s: with no order {before.cpu_share:.1%} of a core, "
            f"{before.memory_mb:.0f} MB; with {waiting} waiting {while_waiting.cpu_share:.1%}, "
            f"{while_waiting.memory_mb:.0f} MB"
        )
        settled_s = await crowd.settle(sold)
        console.print(
            f"All {waiting} were fulfilled {settled_s:.0f} s after their debits had begun to "
            f"arrive, {waiting / settled_s:.1f}/s"
        )
        orders_, parcels = burst + waiting, await outside.parcels()
        mails = await outside.mails()
    console.print(f"{orders_} orders, {parcels} parcels, {mails} mails")
    if not orders_ == parcels == mails:
        raise WrongResultError("not every order was fulfilled exactly once")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd")
    parser.add_argument("--burst", type=int, default=BURST, help="webhooks that come at once")
    parser.add_argument("--waiting", type=int, default=WAITING, help="orders that wait")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        uvloop.run(measure(arguments.burst, arguments.waiting, console))
    except WrongResultError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
