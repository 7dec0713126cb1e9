"""One line item in several parcels: by warehouse and weight, each booked once."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from activities.messages import Messages
from activities.shipments import AbandonShipmentInput, BookShipmentInput, ShipmentActivities
from activities.stock_queue import StockQueue
from database.engine import Database
from database.stock import read_stock, set_stock
from domain.catalog import parse_catalog
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.orders import OrderState
from domain.shipping import BookedShipment, ParcelStatus, Rate, ShipmentRequest
from tests.harness.paid_orders import record_shipments
from tests.harness.shop import shipment
from tests.harness.world import World
from workflows.client import Fulfillments
from workflows.outbox import WorkflowOutbox

CATALOG = """
[warehouses.berlin]
countries = ["DE"]
address = {line1 = "Hauptstr. 5", city = "Berlin", postal_code = "10115", country = "DE"}

[warehouses.newark]
countries = ["US"]

[shipping]
max_parcel_grams = 1000
"""


@pytest.mark.parametrize(
    ("rule", "service"),
    [
        ("", "Standard"),
        ('rate = "fastest"', "Express"),
        ('services = ["Local Parcel Overnight", "Local Parcel Express"]', "Express"),
        ('services = ["Local Parcel Overnight"]', "Standard"),
    ],
)
async def test_pieces_go_in_parcels_by_warehouse_and_weight_each_by_the_rate_of_the_rule(
    world: World, tmp_path: Path, rule: str, service: str
) -> None:
    (tmp_path / "catalog.toml").write_text(CATALOG + rule)
    sku = f"SKU-{uuid4().hex[:8]}"
    async with world.database.transaction() as connection:
        await set_stock(connection, {(sku, "berlin"): 2, (sku, "newark"): 3}, {})
    # The first parcel is booked, and its answer lost: the retry is to find it.
    fault = {"status": 500, "count": 1, "after_booking": True}
    await world.carrier.post("/faults", json=fault)
    async with world.with_settings(catalog_file=tmp_path / "catalog.toml").worker():
        session_id = await world.shop.buy(shipment(sku), quantity=5)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    booked = await world.parcels(session_id)
    assert [each["items"][0]["quantity"] for each in booked] == [2, 2, 1]
    [line] = (await world.order(session_id)).lines
    parcels = line.fulfillments[0].parcels
    assert [(each.warehouse, each.items[0].quantity) for each in parcels] == [
        ("berlin", 2),
        ("newark", 2),
        ("newark", 1),
    ]
    assert [each.tracking_number for each in parcels] == [
        each["tracking_number"] for each in booked
    ]
    assert {each.service for each in parcels} == {service}
    assert {each.status for each in parcels} == {ParcelStatus.BOOKED}
    assert await world.stock(sku) == 0


@dataclass
class _Picky:
    """A carrier that books one parcel of an order, and refuses all others while it is strict."""

    is_strict: bool = True
    booked: list[str] = field(default_factory=list)

    async def find(self, reference: str) -> BookedShipment | None:
        return self._shipment(reference) if reference in self.booked else None

    async def quote(self, request: ShipmentRequest) -> tuple[Rate, ...]:
        raise NotImplementedError

    async def book(self, request: ShipmentRequest, rate: Rate | None) -> BookedShipment:
        assert rate is None
        if self.booked and self.is_strict:
            raise PermanentError("carrier_refused", "too many")
        assert request.reference not in self.booked
        self.booked.append(request.reference)
        return self._shipment(request.reference)

    async def cancel(self, shipment_id: str) -> bool:
        raise NotImplementedError

    def _shipment(self, reference: str) -> BookedShipment:
        return BookedShipment(
            id=f"shp_{reference}",
            carrier="Picky",
            tracking_number=f"P{reference}",
            tracking_url="https://picky.example.com",
        )


@dataclass
class _Case:
    """A shipment of three pieces in three parcels, of which the carrier has booked one."""

    database: Database
    carrier: _Picky
    activities: ShipmentActivities
    ref: FulfillmentRef
    sku: str

    async def book(self) -> None:
        request = BookShipmentInput(fulfillment=self.ref, sku=self.sku, weight_grams=900)
        await self.activities.book_shipment(request)

    async def stock(self) -> int:
        async with self.database.transaction() as connection:
            levels = await read_stock(connection)
        return sum(level.on_hand for level in levels if level.sku == self.sku)


@pytest.fixture
async def case(world: World) -> _Case:
    sku = f"SKU-{uuid4().hex[:8]}"
    catalog = parse_catalog("[shipping]\nmax_parcel_grams = 1000\n")
    queue = StockQueue(world.database, Fulfillments(world.client, "nobody"))
    messages = Messages(WorkflowOutbox(world.client, "nobody"), wanted=False)
    carrier = _Picky()
    activities = ShipmentActivities(world.database, carrier, catalog, queue, messages)
    async with world.database.transaction() as connection:
        await set_stock(connection, {(sku, "main"): 3}, {})
    [ref] = await record_shipments(world.database, quantity=3)
    made = _Case(world.database, carrier, activities, ref, sku)
    with pytest.raises(PermanentError, match="too many"):
        await made.book()
    assert carrier.booked == [ref.idempotency_key]
    return made


async def test_what_is_refused_keeps_its_stock_once_a_part_of_it_is_on_its_way(case: _Case) -> None:
    assert await case.stock() == 0
    case.carrier.is_strict = False
    await case.book()
    key = case.ref.idempotency_key
    assert case.carrier.booked == [key, f"{key}:2", f"{key}:3"]
    assert await case.stock() == 0
    # To be asked again books nothing again.
    await case.book()
    assert len(case.carrier.booked) == 3


async def test_what_is_given_up_comes_back_but_for_what_is_on_its_way(case: _Case) -> None:
    for _ in range(2):
        await case.activities.abandon_shipment(AbandonShipmentInput(fulfillment=case.ref))
        assert await case.stock() == 2
