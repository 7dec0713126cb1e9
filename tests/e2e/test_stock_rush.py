"""Many orders for few pieces, at once, over many connections to a real PostgreSQL."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from activities.messages import Messages
from activities.shipments import BookShipmentInput, ShipmentActivities
from activities.stock_queue import StockQueue
from adapters.http_carrier import HttpCarrier
from database.backorders import read_ready
from database.engine import Database
from database.stock import read_stock, set_stock
from database.tables import backorders, fulfillments, messages, stock_movements
from domain.catalog import Catalog, parse_catalog
from domain.errors import PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.reversals import ReversalObject
from domain.stock import MAIN_WAREHOUSE, OutOfStockPolicy
from local.carrier.app import create_app as create_carrier
from local.ports import free_port
from tests.harness.paid_orders import ADDRESS, record_shipments
from tests.harness.serving import serving

ORDERS = 500
PIECES = 100
LOW_AT = 10
POOLS = 4
"""Of ten connections each."""
TRIES_AT_ONCE = 10 * POOLS
POLICIES = {
    OutOfStockPolicy.OPERATOR: "out_of_stock",
    OutOfStockPolicy.BACKORDER: "backordered",
    OutOfStockPolicy.REFUND_OFFER: "awaiting_customer",
}
"""What an order is that gets nothing; for an operator, why its step stops."""


@dataclass
class _Bell:
    """Hears which shipments are woken and what is to be sent, in place of the workflows."""

    woken: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    async def send_message(self, message_id: str) -> None:
        self.sent.append(message_id)

    async def send_parcel_mails(self, reference: str) -> None:
        raise NotImplementedError

    async def send_email(self, session_id: str, name: str, key: str) -> None:
        raise NotImplementedError

    async def send_alerts(self) -> None: ...

    async def send_refund(self, request_id: str) -> None:
        raise NotImplementedError

    async def wake(self, session_id: str, step: str, *, account: str | None) -> None:  # noqa: ARG002 - the port's
        self.woken.append(session_id)

    async def notice(
        self, kind: ReversalObject, object_id: str, *, account: str | None, again: bool
    ) -> None:
        raise NotImplementedError

    async def resume_reversal(
        self, kind: ReversalObject, object_id: str, *, account: str | None
    ) -> None:
        raise NotImplementedError

    async def resume(
        self,
        session_id: str,  # noqa: ARG002 - the port's
        *,
        account: str | None,  # noqa: ARG002 - the port's
        reversal_id: str | None = None,  # noqa: ARG002 - the port's
    ) -> bool:
        return True

    async def ensure(
        self,
        session_id: str,  # noqa: ARG002 - the port's
        *,
        account: str | None,  # noqa: ARG002 - the port's
        wake: bool = False,  # noqa: ARG002 - the port's
        reopen: bool = False,  # noqa: ARG002 - the port's
    ) -> bool:
        return True


@dataclass
class _Warehouse:
    """Workers that book shipments, all on one database."""

    databases: list[Database]
    activities: list[ShipmentActivities]
    carrier: httpx.AsyncClient
    queue: StockQueue
    bell: _Bell

    async def book_all(self, requests: Sequence[BookShipmentInput]) -> Counter[str]:
        """Tries each once, in any order, many at a time; counts how they ended."""
        waiting = random.sample(requests, len(requests))
        ends: Counter[str] = Counter()

        async def work(activities: ShipmentActivities) -> None:
            while waiting:
                request = waiting.pop()
                try:
                    progress = await activities.book_shipment(request)
                except PermanentError as error:
                    ends[error.code] += 1
                else:
                    ends["waiting" if progress.waiting else "shipped"] += 1

        workers = [self.activities[number % POOLS] for number in range(TRIES_AT_ONCE)]
        await asyncio.gather(*(work(activities) for activities in workers))
        return ends

    async def states(self, refs: Sequence[FulfillmentRef]) -> Counter[str]:
        async with self.databases[0].transaction() as connection:
            rows = await connection.execute(
                select(fulfillments.c.state, func.count())
                .where(fulfillments.c.session_id.in_([ref.session_id for ref in refs]))
                .group_by(fulfillments.c.state)
            )
        return Counter({row.state: row.count for row in rows})

    async def on_hand(self, sku: str) -> int:
        async with self.databases[0].transaction() as connection:
            levels = await read_stock(connection)
            moved = await connection.scalar(
                select(func.sum(stock_movements.c.quantity)).where(stock_movements.c.sku == sku)
            )
        on_hand = sum(level.on_hand for level in levels if level.sku == sku)
        assert moved == on_hand
        return on_hand

    async def sent(self, sku: str) -> int:
        """Pieces that the carrier has in its parcels."""
        parcels = (await self.carrier.get("/shipments")).json()["shipments"]
        return sum(
            item["quantity"] for parcel in parcels for item in parcel["items"] if item["sku"] == sku
        )


@asynccontextmanager
async def _open(database_url: str, catalog: Catalog, folder: Path) -> AsyncIterator[_Warehouse]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving({port: create_carrier(folder / "carrier.sqlite")}))
        carrier = await stack.enter_async_context(HttpCarrier(url))
        books = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
        databases = [await stack.enter_async_context(Database(database_url)) for _ in range(POOLS)]
        bell = _Bell()
        queue = StockQueue(databases[0], bell)
        teller = Messages(bell, wanted=True)
        activities = [
            ShipmentActivities(database, carrier, catalog, queue, teller) for database in databases
        ]
        yield _Warehouse(databases, activities, books, queue, bell)


def _requests(
    refs: Sequence[FulfillmentRef], skus: Sequence[str], policy: OutOfStockPolicy
) -> list[BookShipmentInput]:
    return [
        BookShipmentInput(
            fulfillment=ref,
            sku=skus[number % len(skus)],
            weight_grams=350,
            out_of_stock=policy,
        )
        for number, ref in enumerate(refs)
    ]


@pytest.mark.parametrize("policy", POLICIES)
async def test_five_hundred_orders_get_a_hundred_pieces_and_the_rest_what_the_policy_says(
    database_url: str, tmp_path: Path, policy: OutOfStockPolicy
) -> None:
    sku = f"SKU-{uuid4().hex}"
    async with _open(database_url, Catalog(), tmp_path) as warehouse:
        refs = await record_shipments(warehouse.databases[0], ORDERS)
        async with warehouse.databases[0].transaction() as connection:
            await set_stock(connection, {(sku, MAIN_WAREHOUSE): PIECES}, {sku: LOW_AT})
        ends = await warehouse.book_all(_requests(refs, [sku], policy))
        assert ends["shipped"] == PIECES
        states = await warehouse.states(refs)
        assert states["fulfilled"] == PIECES
        missed = ends if policy is OutOfStockPolicy.OPERATOR else states
        assert missed[POLICIES[policy]] == ORDERS - PIECES
        assert await warehouse.on_hand(sku) == 0
        assert await warehouse.sent(sku) == PIECES
        async with warehouse.databases[0].transaction() as connection:
            told = await connection.execute(
                select(messages.c.id, messages.c.data).where(messages.c.data["sku"].astext == sku)
            )
        [message] = told
        assert message.data == {"sku": sku, "on_hand": LOW_AT, "low_at": LOW_AT}
        assert warehouse.bell.sent == [message.id]


async def test_bundles_of_several_warehouses_go_to_who_queues_first(
    database_url: str, tmp_path: Path
) -> None:
    """The bundles name their parts in opposite orders, the countries the warehouses."""
    mug, book = f"MUG-{uuid4().hex}", f"BOOK-{uuid4().hex}"
    there, back = f"SET-{uuid4().hex}", f"SET-{uuid4().hex}"
    catalog = parse_catalog(
        f"[bundles.{there}]\n{mug} = 1\n{book} = 1\n"
        f"[bundles.{back}]\n{book} = 1\n{mug} = 1\n"
        '[warehouses.berlin]\ncountries = ["DE"]\n[warehouses.newark]\ncountries = ["US"]\n'
    )
    german = ADDRESS.model_copy(update={"country": "DE"})
    counts = {
        (mug, "berlin"): PIECES - 30,
        (mug, "newark"): 30,
        (book, "berlin"): 30,
        (book, "newark"): PIECES - 30,
    }
    policy = OutOfStockPolicy.BACKORDER
    async with _open(database_url, catalog, tmp_path) as warehouse:
        database = warehouse.databases[0]
        refs = await record_shipments(database, ORDERS // 2)
        refs += await record_shipments(database, ORDERS // 2, address=german)
        requests = _requests(random.sample(refs, ORDERS), [there, back], policy)
        async with database.transaction() as connection:
            await set_stock(connection, counts, {})
        ends = await warehouse.book_all(requests)
        assert ends == {"shipped": PIECES, "waiting": ORDERS - PIECES}
        for sku in (mug, book):
            assert await warehouse.on_hand(sku) == 0
            assert await warehouse.sent(sku) == PIECES

        came = PIECES // 2
        async with database.transaction() as connection:
            await set_stock(connection, {(mug, "berlin"): came, (book, "newark"): came}, {})
            oldest = await connection.scalars(
                select(backorders.c.session_id)
                .where(backorders.c.sku == mug)
                .order_by(backorders.c.place)
                .limit(came)
            )
        assert await warehouse.queue.wake_ready() == came
        assert warehouse.bell.woken == oldest.all()
        # Also who was not woken tries, and passes nobody.
        ends = await warehouse.book_all(requests)
        assert ends == {"shipped": PIECES + came, "waiting": ORDERS - PIECES - came}
        served = [ref for ref in refs if ref.session_id in set(warehouse.bell.woken)]
        assert await warehouse.states(served) == {"fulfilled": came}
        async with database.transaction() as connection:
            assert await read_ready(connection, ORDERS) == []
        for sku in (mug, book):
            assert await warehouse.on_hand(sku) == 0
            assert await warehouse.sent(sku) == PIECES + came


async def test_tries_of_one_shipment_at_the_same_moment_take_its_stock_once(
    database_url: str, tmp_path: Path
) -> None:
    sku = f"SKU-{uuid4().hex}"
    async with _open(database_url, Catalog(), tmp_path) as warehouse:
        refs = await record_shipments(warehouse.databases[0], 20)
        async with warehouse.databases[0].transaction() as connection:
            await set_stock(connection, {(sku, MAIN_WAREHOUSE): PIECES}, {})
        requests = _requests(refs, [sku], OutOfStockPolicy.OPERATOR)

        async def until_booked(activities: ShipmentActivities, request: BookShipmentInput) -> None:
            while True:
                try:
                    await activities.book_shipment(request)
                except TransientError as error:
                    # Another try was first; anything else, such as a deadlock, is a defect.
                    if error.code != "shipment_claimed":
                        raise
                else:
                    return

        await asyncio.gather(
            *(
                until_booked(activities, request)
                for request in requests
                for activities in warehouse.activities
            )
        )
        assert await warehouse.states(refs) == {"fulfilled": len(refs)}
        assert await warehouse.on_hand(sku) == PIECES - len(refs)
        assert await warehouse.sent(sku) == len(refs)


async def test_two_tries_at_once_take_once_what_a_refusal_had_put_back(
    database_url: str, tmp_path: Path
) -> None:
    sku = f"SKU-{uuid4().hex}"
    async with _open(database_url, Catalog(), tmp_path) as warehouse:
        refs = await record_shipments(warehouse.databases[0], TRIES_AT_ONCE)
        async with warehouse.databases[0].transaction() as connection:
            await set_stock(connection, {(sku, MAIN_WAREHOUSE): PIECES}, {})
        await warehouse.carrier.post("/faults", json={"status": 422, "count": len(refs)})
        requests = _requests(refs, [sku], OutOfStockPolicy.OPERATOR)
        await warehouse.book_all(requests)
        assert await warehouse.on_hand(sku) == PIECES
        await warehouse.carrier.post("/faults", json={"status": 422, "count": 0})
        for request in requests:
            tries = [
                warehouse.activities[number % POOLS].book_shipment(request) for number in range(2)
            ]
            await asyncio.gather(*tries)
        assert await warehouse.on_hand(sku) == PIECES - len(refs)
        assert await warehouse.sent(sku) == len(refs)
