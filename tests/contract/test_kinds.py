"""What every fulfillment kind keeps, ours and an installed one: one suite over all of them.

A new kind adds its sample here.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from database.licenses import count_free, import_keys
from database.orders import lock_order
from database.reversals import (
    ReversibleFulfillment,
    aim,
    lock_reversible,
    read_paid,
    save_reversals,
)
from database.tables import downloads, service_calls
from domain.errors import FulfillmentError, ReversedError, TransientError
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import Fulfillment, FulfillmentState
from domain.reversals import Cause, Reversal, ReversalPolicy
from domain.services import CallStatus
from tests.harness.example_kind import GIFT_CARD, install_example_kind
from tests.harness.kinds import Activity, DirectStep, activities_of_worker
from tests.harness.paid_orders import record_order
from tests.harness.service import PENDING, Answer, MerchantService, merchant_service
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World
from workflows.fulfillment.kind import FulfillmentKind
from workflows.fulfillment.registry import GROUP, KINDS, with_installed
from workflows.steps import StepParkedError, StepState

BY_HAND = "manual"
"""The one kind that nothing but a person delivers."""
QUANTITY = 2


@dataclass
class Scene:
    """What a delivery meets."""

    world: World
    service: MerchantService
    name: str
    """Of what is this test's own: a SKU, a pool of keys, a file."""


async def _nothing(_scene: Scene) -> None:
    """Nothing to prepare; no obstacle of its own."""


async def _nothing_held(_scene: Scene, _ref: FulfillmentRef) -> int:
    return 0


@dataclass(frozen=True)
class Sample:
    """How one kind is tried.

    Attributes:
        metadata: Of a product that it delivers.
        missing: The keys that are told where the product says nothing else.
        bad: A parameter with a value that it refuses.
        prepare: Has what must exist first.
        effects: How often a delivery had its effect outside of the fulfillment's own record.
        obstruct: Keeps it from being delivered, in its own way.
        held: How much an unfinished delivery holds.
    """

    metadata: Callable[[Scene], dict[str, str]]
    bad: tuple[str, str]
    missing: frozenset[str] = frozenset()
    prepare: Callable[[Scene], Awaitable[None]] = _nothing
    effects: Callable[[Scene, FulfillmentRef], Awaitable[int]] | None = None
    obstruct: Callable[[Scene], Awaitable[None]] = _nothing
    held: Callable[[Scene, FulfillmentRef], Awaitable[int]] = _nothing_held


async def _parcels(scene: Scene, ref: FulfillmentRef) -> int:
    return len(await scene.world.parcels(ref.session_id))


async def _stock_up(scene: Scene) -> None:
    await scene.world.restock(scene.name, 100)


async def _carrier_away(scene: Scene) -> None:
    await scene.world.carrier.post("/faults", json={"status": 503, "count": 1})


async def _stock_held(scene: Scene, _ref: FulfillmentRef) -> int:
    return 100 - await scene.world.stock(scene.name)


async def _asked_ids(scene: Scene, _ref: FulfillmentRef) -> int:
    asked = [each for each in scene.service.asked if each["type"] == "fulfillment.requested"]
    return len({each["id"] for each in asked})


async def _service_takes_its_time(scene: Scene) -> None:
    scene.service.answers = [Answer(PENDING)]


async def _open_calls(scene: Scene, ref: FulfillmentRef) -> int:
    is_open = service_calls.c.status.in_((CallStatus.ASKED, CallStatus.PENDING))
    of_order = service_calls.c.session_id == ref.session_id
    async with scene.world.database.transaction() as connection:
        return await connection.scalar(select(func.count()).where(of_order, is_open)) or 0


async def _put_file(scene: Scene) -> None:
    folder = scene.world.settings.downloads_folder
    assert folder is not None
    (folder / scene.name).write_bytes(b"music")


async def _offered(scene: Scene, ref: FulfillmentRef) -> int:
    of_order = downloads.c.session_id == ref.session_id
    async with scene.world.database.transaction() as connection:
        return await connection.scalar(select(func.count()).where(of_order)) or 0


async def _fill_pool(scene: Scene) -> None:
    keys = {f"{scene.name}{number}".upper(): f"{scene.name}-{number}" for number in range(100)}
    async with scene.world.database.transaction() as connection:
        await import_keys(connection, scene.name, keys)


async def _pools_taken(scene: Scene, _ref: FulfillmentRef) -> int:
    """How many times as much as was bought is out of the pool."""
    async with scene.world.database.transaction() as connection:
        taken = 100 - await count_free(connection, scene.name)
    assert taken % QUANTITY == 0
    return taken // QUANTITY


SAMPLES = {
    "access": Sample(
        lambda _: ACCESS,
        bad=("url", "ftp://example.com"),
        missing=frozenset({"access_url", "access_feature"}),
    ),
    "download": Sample(
        lambda scene: {"fulfillment": "download", "download_files": scene.name},
        bad=("files", "../settings.py"),
        missing=frozenset({"download_files"}),
        prepare=_put_file,
        effects=_offered,
        held=_offered,
    ),
    "license_key": Sample(
        lambda scene: {"fulfillment": "license_key", "license_key_pool": scene.name},
        bad=("format", "SHORT-XXX"),
        missing=frozenset({"license_key"}),
        prepare=_fill_pool,
        effects=_pools_taken,
        held=_pools_taken,
    ),
    "shipment": Sample(
        lambda scene: shipment(scene.name),
        bad=("weight_grams", "heavy"),
        missing=frozenset({"shipment_sku", "shipment_weight_grams"}),
        prepare=_stock_up,
        effects=_parcels,
        obstruct=_carrier_away,
        held=_stock_held,
    ),
    BY_HAND: Sample(lambda _: {"fulfillment": BY_HAND}, bad=("instructions", "x" * 501)),
    "webhook": Sample(
        lambda scene: {**scene.service.metadata, "webhook_reversals": "true"},
        bad=("url", "http://example.com"),
        missing=frozenset({"webhook_url"}),
        effects=_asked_ids,
        obstruct=_service_takes_its_time,
        held=_open_calls,
    ),
    "gift_card": Sample(
        lambda _: GIFT_CARD, bad=("prefix", "x"), missing=frozenset({"gift_card_prefix"})
    ),
}
ALL = sorted(SAMPLES)
DELIVERED = [name for name in ALL if name != BY_HAND]
TAKEN_BACK = [name for name, kind in sorted(KINDS.items()) if kind.reverse is not None]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, FulfillmentKind[Any]]]:
    """All kinds of a place where the example package is installed."""
    folder = tmp_path_factory.mktemp("site")
    install_example_kind(folder)
    sys.path.insert(0, str(folder))
    try:
        yield with_installed(entry_points(group=GROUP))
    finally:
        sys.path.remove(str(folder))


class Delivery:
    """One fulfillment of a paid order, to be delivered again and again."""

    def __init__(
        self,
        scene: Scene,
        kind: FulfillmentKind[Any],
        ref: FulfillmentRef,
        activities: Sequence[Activity],
    ) -> None:
        self.scene = scene
        self.sample = SAMPLES[kind.name]
        self.kind = kind
        self.ref = ref
        self._activities = activities

    async def deliver(self) -> DirectStep:
        """Delivers as a try of the workflow does."""
        step = DirectStep(self.ref, self._activities)
        await self.kind.fulfill(self.ref, self._parameters(), step)
        return step

    async def deliver_at_once(self, times: int) -> None:
        """Delivers side by side; tries that are to be made again do not count."""
        tries = (self.deliver() for _ in range(times))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert [
            each for each in outcomes if not isinstance(each, DirectStep | TransientError)
        ] == []

    async def abandon(self) -> None:
        """Gives it up, as the workflow does when an operator skips it."""
        if self.kind.abandon is not None:
            await self.kind.abandon(self.ref, DirectStep(self.ref, self._activities))

    async def reverse(self, pieces: int) -> DirectStep:
        """Has so many pieces taken back, as the workflow of a refund does."""
        refund = Reversal(
            id=f"re_{self.ref.line_item_id}",
            session_id=self.ref.session_id,
            cause=Cause.REFUND,
            status="succeeded" if pieces else "failed",
            counts=pieces > 0,
            amount=Money(amount_minor=1, currency="usd"),
            lines={self.ref.line_item_id: pieces},
            created_at=datetime.now(UTC),
        )
        async with self.scene.world.database.transaction() as connection:
            await lock_order(connection, self.ref.session_id)
            await save_reversals(connection, self.ref.session_id, [refund])
            paid = await read_paid(connection, self.ref.session_id)
            await aim(connection, paid, lambda _kind: ReversalPolicy(), "test")
        step = DirectStep(self.ref, self._activities)
        assert self.kind.reverse is not None
        await self.kind.reverse(self.ref, step)
        return step

    async def settled(self) -> ReversibleFulfillment:
        """How far it was taken back."""
        async with self.scene.world.database.transaction() as connection:
            return await lock_reversible(connection, self.ref)

    async def record(self) -> Fulfillment:
        """How it stands in the order."""
        order = await self.scene.world.order(self.ref.session_id)
        [line] = order.lines
        [fulfillment] = line.fulfillments
        return fulfillment

    async def effects(self) -> int | None:
        return await self.sample.effects(self.scene, self.ref) if self.sample.effects else None

    async def held(self) -> int:
        return await self.sample.held(self.scene, self.ref)

    @asynccontextmanager
    async def refused_at_its_end(self) -> AsyncIterator[None]:
        """The database refuses to mark it as fulfilled, for a passing reason."""
        name = f"refuse_{uuid4().hex}"
        execute = self.scene.world.execute
        await execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$"
        )
        await execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON fulfillments FOR EACH ROW "
            f"WHEN (NEW.state = 'fulfilled' AND NEW.session_id = '{self.ref.session_id}') "
            f"EXECUTE FUNCTION {name}()"
        )
        try:
            yield
        finally:
            await execute(f"DROP FUNCTION {name} CASCADE")

    def _parameters(self) -> dict[str, str]:
        return parameters_of(self.kind.name, self.sample.metadata(self.scene))


def parameters_of(name: str, metadata: dict[str, str]) -> dict[str, str]:
    return {
        key.removeprefix(f"{name}_"): value
        for key, value in metadata.items()
        if key.startswith(f"{name}_")
    }


@pytest.fixture
async def delivery(
    world: World,
    kinds: dict[str, FulfillmentKind[Any]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> AsyncIterator[Delivery]:
    kind = kinds[request.param]
    world = world.with_settings(downloads_folder=tmp_path)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(merchant_service())
        scene = Scene(world, service, name=f"OURS-{uuid4().hex[:8].upper()}")
        await SAMPLES[kind.name].prepare(scene)
        parameters = parameters_of(kind.name, SAMPLES[kind.name].metadata(scene))
        async with world.database.transaction() as connection:
            ref = await record_order(connection, kind.name, parameters, quantity=QUANTITY)
        activities = await stack.enter_async_context(activities_of_worker(world, [kind]))
        yield Delivery(scene, kind, ref, activities)


def test_every_kind_has_its_sample(kinds: dict[str, FulfillmentKind[Any]]) -> None:
    assert set(SAMPLES) == set(kinds)
    assert set(kinds) - set(KINDS) == {"gift_card"}


@pytest.mark.parametrize("name", ALL)
def test_a_bad_parameter_is_refused_by_its_key(
    name: str, kinds: dict[str, FulfillmentKind[Any]]
) -> None:
    kind = kinds[name]
    key, value = SAMPLES[name].bad
    with pytest.raises(ValueError, match=rf"\b{name}_{key}: "):
        kind.parse({key: value})


@pytest.mark.parametrize("name", ALL)
def test_a_missing_parameter_is_refused_by_its_key(
    name: str, kinds: dict[str, FulfillmentKind[Any]]
) -> None:
    kind = kinds[name]
    told = set()
    try:
        kind.parse({})
    except ValueError as error:
        told = {problem.partition(": ")[0] for problem in str(error).split("; ")}
    assert told == SAMPLES[name].missing


@pytest.mark.parametrize("delivery", DELIVERED, indirect=True)
async def test_what_is_delivered_stands_in_the_order(delivery: Delivery) -> None:
    assert (await delivery.record()).state is FulfillmentState.PENDING
    step = await delivery.deliver()
    assert step.progress.waiting is None
    record = await delivery.record()
    assert record.state is FulfillmentState.FULFILLED
    assert record.delivered or record.parcels
    assert await delivery.effects() in {None, 1}


@pytest.mark.parametrize("delivery", DELIVERED, indirect=True)
async def test_it_is_delivered_once_however_often_and_at_once(delivery: Delivery) -> None:
    await delivery.deliver_at_once(4)
    await delivery.deliver()
    record = await delivery.record()
    assert record.state is FulfillmentState.FULFILLED
    await delivery.deliver()
    await delivery.deliver_at_once(4)
    assert await delivery.record() == record
    assert await delivery.effects() in {None, 1}


@pytest.mark.parametrize("delivery", DELIVERED, indirect=True)
async def test_what_failed_at_its_end_is_delivered_once_by_the_next_try(
    delivery: Delivery,
) -> None:
    async with delivery.refused_at_its_end():
        for _ in range(2):
            with pytest.raises(TransientError):
                await delivery.deliver()
        assert (await delivery.record()).state is not FulfillmentState.FULFILLED
    await delivery.deliver()
    assert (await delivery.record()).state is FulfillmentState.FULFILLED
    assert await delivery.effects() in {None, 1}


@pytest.mark.parametrize("delivery", ALL, indirect=True)
async def test_what_is_given_up_holds_nothing(delivery: Delivery) -> None:
    await delivery.sample.obstruct(delivery.scene)
    obstacle = (FulfillmentError, StepParkedError)
    if delivery.sample.obstruct is _nothing:
        async with delivery.refused_at_its_end():
            with suppress(*obstacle):
                await delivery.deliver()
    else:
        with suppress(*obstacle):
            await delivery.deliver()
        assert await delivery.held() > 0
    assert (await delivery.record()).state is not FulfillmentState.FULFILLED
    for _ in range(2):
        await delivery.abandon()
    assert await delivery.held() == 0
    record = await delivery.record()
    assert (record.delivered, record.parcels) == ((), ())


@pytest.mark.parametrize("delivery", TAKEN_BACK, indirect=True)
async def test_what_is_refunded_is_taken_back_once_and_given_back(delivery: Delivery) -> None:
    await delivery.deliver()
    for pieces in (1, QUANTITY, QUANTITY, 0):
        step = await delivery.reverse(pieces)
        assert step.progress.waiting is None
        now = await delivery.settled()
        assert (now.taken_back, now.kept) == (pieces, QUANTITY - pieces)
        if now.kept == 0:
            assert (await delivery.record()).state is FulfillmentState.REVERSED
            with pytest.raises(ReversedError):
                await delivery.deliver()
    # What could not be left as it was, is delivered again.
    await delivery.deliver()
    record = await delivery.record()
    assert record.state is FulfillmentState.FULFILLED
    assert record.delivered or record.parcels


@pytest.mark.parametrize("delivery", TAKEN_BACK, indirect=True)
async def test_what_is_refunded_before_it_is_delivered_holds_nothing(delivery: Delivery) -> None:
    await delivery.reverse(QUANTITY)
    with pytest.raises(ReversedError):
        await delivery.deliver()
    assert await delivery.effects() in {None, 0}
    assert await delivery.held() == 0
    assert (await delivery.settled()).is_settled


@pytest.mark.parametrize("delivery", [BY_HAND], indirect=True)
async def test_what_a_person_does_waits_for_one_each_time(delivery: Delivery) -> None:
    for _ in range(2):
        with pytest.raises(StepParkedError) as parked:
            await delivery.deliver()
        assert parked.value.state is StepState.AWAITING_OPERATOR
