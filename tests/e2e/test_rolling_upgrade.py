"""Two workers and two APIs on one database, one of each replaced at a time while customers buy."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select
from temporalio.client import Client

from database.tables import entitlements
from domain.orders import OrderState
from local.ports import free_port
from local.process import Process
from tests.harness.balancer import balancing
from tests.harness.programs import api_process, running, start, worker_process
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import Heard, World, open_world
from workflows import options
from workflows.schedule import schedule_id

MOST_LATE_PAGES = 2
ORDER_EVERY_S = 0.4
BOOKING_MS = 400
"""What the carrier takes for each parcel, so that some are under way whenever a worker stops."""
DRAIN = {"API_DRAIN_SECONDS": "2"}
"""Much more than the balancer takes to notice, also on a busy machine."""


@dataclass
class Customers:
    """Who buy all the time, and come back to the page of their order."""

    world: World
    prices: tuple[str, ...]
    bought: list[str] = field(default_factory=list)
    pages: Counter[int] = field(default_factory=Counter)
    """How often the landing page was answered with which status; 0: not at all."""

    async def buy_until(self, closed: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if closed.is_set():
                    return
                group.create_task(self._buy(number))
                await asyncio.sleep(ORDER_EVERY_S)

    async def _buy(self, number: int) -> None:
        shop = self.world.shop
        session_id = await shop.checkout(*self.prices)
        await shop.pay(session_id, email=f"customer-{number}@example.com")
        self.bought.append(session_id)
        async with httpx.AsyncClient(base_url=self.world.settings.public_url) as browser:
            page = {"session_id": session_id}
            try:
                answer = await browser.get("/after-checkout", params=page, timeout=30)
            except httpx.HTTPError:
                self.pages[0] += 1
            else:
                self.pages[answer.status_code] += 1


@asynccontextmanager
async def buying(customers: Customers) -> AsyncIterator[None]:
    """Has them buy for as long as the block."""
    closed = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(customers.buy_until(closed))
        try:
            yield
        finally:
            closed.set()


async def replace(*processes: Process) -> None:
    """As a rolling upgrade does: told to stop, and started again."""
    await asyncio.gather(*(asyncio.to_thread(process.stop) for process in processes))
    await start(*processes)


@dataclass(frozen=True)
class Site:
    """A world before whose public address two APIs answer, and two workers work."""

    world: World
    workers: list[Process]
    apis: list[Process]
    heard: list[Heard]


@pytest.fixture(scope="module")
async def site(
    database_url: str,
    temporal_address: str,
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    heard: list[Heard] = []
    url = f"http://127.0.0.1:{free_port()}"
    opening = open_world(database_url, client, temporal_address, folder, heard, public_url=url)
    async with opening as world:
        ports = [free_port(), free_port()]
        workers = [worker_process(world, folder, {}, f"worker-{each}") for each in (1, 2)]
        apis = [api_process(world, folder, DRAIN, port, f"api-{port}") for port in ports]
        async with running([*workers, *apis]), balancing(urlsplit(url).port or 0, ports):
            yield Site(world, workers, apis, heard)


async def test_a_rolling_upgrade_under_load_loses_and_doubles_no_order(site: Site) -> None:
    world = site.world
    sku = await world.new_sku(1000)
    prices = (await world.shop.price(ACCESS), await world.shop.price(shipment(sku)))
    await world.carrier.post("/faults", json={"delay_ms": BOOKING_MS, "status": None})
    customers = Customers(world, prices)
    async with buying(customers):
        # The new release has migrated, while all of the old one still runs.
        await world.execute("UPDATE alembic_version SET version_num = '9999'")
        for worker, api in zip(site.workers, site.apis, strict=True):
            await replace(worker, api)
    orders = customers.bought
    assert len(orders) > 10

    results = await asyncio.gather(*(world.result(each) for each in orders))
    assert {result.state for result in results} == {OrderState.FULFILLED}
    once_each = Counter(orders)
    booked = (await world.carrier.get("/shipments")).json()["shipments"]
    assert Counter(parcel["reference"].partition(":")[0] for parcel in booked) == once_each
    assert await world.stock(sku) == 1000 - len(orders)
    mails = (await world.inbox.get("/api/messages")).json()["messages"]
    assert Counter(mail["recipients"][0] for mail in mails) == Counter(
        f"customer-{number}@example.com" for number in range(len(orders))
    )
    assert await _granted(world) == once_each
    # Not even the carrier's idempotency key was needed.
    asked = Counter(
        each.headers["Idempotency-Key"]
        for each in site.heard
        if (each.by, each.method) == ("carrier", "POST") and each.path == "/shipments"
    )
    assert set(asked.values()) == {1}
    # On a busy machine a page may give up waiting: it says so, and loads itself again.
    answered = Counter(customers.pages)
    assert set(answered) <= {200, 503}
    assert answered[503] <= MOST_LATE_PAGES


async def _granted(world: World) -> Counter[str]:
    async with world.database.transaction() as connection:
        return Counter(await connection.scalars(select(entitlements.c.session_id)))


async def test_two_workers_that_start_together_begin_one_schedule(site: Site) -> None:
    queue = site.world.settings.temporal_task_queue
    described = await site.world.client.get_schedule_handle(schedule_id(queue)).describe()
    begun_by_hand = [
        action
        for action in described.info.recent_actions
        if action.scheduled_at.timestamp() % options.SWEEP_EVERY.total_seconds()
    ]
    assert len(begun_by_hand) == 1
