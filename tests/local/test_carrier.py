"""The local carrier keeps the contract that the product's adapter is written against."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.carrier.app import create_app
from local.carrier.courier import Callbacks
from local.ports import LOCALHOST, free_port
from tests.harness.serving import serving
from tests.harness.world import eventually

ADDRESS = {
    "name": "Jenny Rosen",
    "line1": "27 Fredrick Ave",
    "line2": None,
    "city": "Brothers",
    "state": "OR",
    "postal_code": "97712",
    "country": "US",
}
REQUEST: dict[str, Any] = {
    "reference": "cs_test_1/li_1",
    "to": ADDRESS,
    "items": [{"sku": "MUG-BLUE", "quantity": 2, "weight_grams": 350}],
}


@asynccontextmanager
async def running_carrier(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    async with (
        serving({port: create_app(folder / "carrier.db")}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}") as client,
    ):
        yield client


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running_carrier(tmp_path) as client:
        yield client


async def book(
    carrier: httpx.AsyncClient, key: str = "key-1", body: dict[str, Any] = REQUEST
) -> httpx.Response:
    return await carrier.post("/shipments", json=body, headers={"Idempotency-Key": key})


async def booked(carrier: httpx.AsyncClient) -> list[dict[str, Any]]:
    shipments: list[dict[str, Any]] = (await carrier.get("/shipments")).json()["shipments"]
    return shipments


async def test_booking_answers_with_number_and_tracking_page(carrier: httpx.AsyncClient) -> None:
    answer = await book(carrier)
    assert answer.status_code == 201
    shipment = answer.json()
    assert set(shipment) == {
        "id",
        "tracking_number",
        "tracking_url",
        "label_url",
        "carrier",
        "service",
        "price",
    }
    assert shipment["id"].startswith("shp_")
    assert shipment["carrier"] == "Local Parcel"
    page = await carrier.get(shipment["tracking_url"])
    assert page.status_code == 200
    assert "27 Fredrick Ave" in page.text
    label = await carrier.get(shipment["label_url"])
    assert label.status_code == 200
    assert shipment["tracking_number"] in label.text


async def test_same_key_and_body_books_once(carrier: httpx.AsyncClient) -> None:
    first, second = await book(carrier), await book(carrier)
    assert second.status_code == 200
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    [parcel] = await booked(carrier)
    assert parcel["replays"] == 1


async def test_same_key_with_another_body_is_a_conflict(carrier: httpx.AsyncClient) -> None:
    await book(carrier)
    answer = await book(carrier, body={**REQUEST, "reference": "another"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_conflict"
    assert len(await booked(carrier)) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"line1": None}, {"line1": ""}, {"country": None}, {"postal_code": "00000"}],
    ids=["no-line1", "empty-line1", "no-country", "unknown-postal-code"],
)
async def test_bad_address_books_nothing_and_leaves_the_key_unused(
    carrier: httpx.AsyncClient, wrong: dict[str, str | None]
) -> None:
    answer = await book(carrier, body={**REQUEST, "to": {**ADDRESS, **wrong}})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_address"
    assert await booked(carrier) == []
    assert (await book(carrier)).status_code == 201


async def test_booking_without_a_key_is_refused(carrier: httpx.AsyncClient) -> None:
    answer = await carrier.post("/shipments", json=REQUEST)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_request"
    assert "idempotency-key" in answer.json()["error"]["message"]


async def test_rates_are_quoted_by_weight_and_booked_by_their_id(
    carrier: httpx.AsyncClient,
) -> None:
    rates = (await carrier.post("/rates", json=REQUEST)).json()["rates"]
    assert [(rate["service"], rate["price"]["amount_minor"]) for rate in rates] == [
        ("Standard", 500),
        ("Express", 1800),
    ]
    express = (await book(carrier, body={**REQUEST, "rate_id": rates[1]["id"]})).json()
    assert express["service"] == "Express"
    assert express["price"] == rates[1]["price"]
    unknown = await book(carrier, "key-2", {**REQUEST, "rate_id": "rate_of_another"})
    assert unknown.status_code == 422
    assert unknown.json()["error"]["code"] == "unknown_rate"
    nowhere = {**REQUEST, "to": {**ADDRESS, "postal_code": "00000"}}
    assert (await carrier.post("/rates", json=nowhere)).status_code == 422


async def test_look_up_finds_shipments_by_reference_only(carrier: httpx.AsyncClient) -> None:
    mine = (await book(carrier, "key-1")).json()
    await book(carrier, "key-2", {**REQUEST, "reference": "another"})
    found = await carrier.get("/shipments", params={"reference": REQUEST["reference"]})
    assert [shipment["id"] for shipment in found.json()["shipments"]] == [mine["id"]]
    nothing = await carrier.get("/shipments", params={"reference": "unknown"})
    assert nothing.json() == {"shipments": []}


async def test_told_to_fail_twice_it_books_the_third_time(carrier: httpx.AsyncClient) -> None:
    await carrier.post("/faults", json={"status": 503, "count": 2})
    assert [(await book(carrier)).status_code for _ in range(3)] == [503, 503, 201]


async def test_failing_without_a_count_goes_on_until_cleared(carrier: httpx.AsyncClient) -> None:
    await carrier.post("/faults", json={"status": 500, "count": None})
    assert {(await book(carrier)).status_code for _ in range(5)} == {500}
    assert await booked(carrier) == []
    await carrier.delete("/faults")
    assert (await book(carrier)).status_code == 201


async def test_lost_answer_books_all_the_same(carrier: httpx.AsyncClient) -> None:
    await carrier.post("/faults", json={"status": 500, "count": 1, "after_booking": True})
    assert (await book(carrier)).status_code == 500
    assert len(await booked(carrier)) == 1
    again = await book(carrier)
    assert again.status_code == 200
    assert again.json()["id"] == (await booked(carrier))[0]["id"]


async def test_delay_without_a_status_only_slows_down(carrier: httpx.AsyncClient) -> None:
    await carrier.post("/faults", json={"delay_ms": 200})
    started = time.monotonic()
    assert (await book(carrier)).status_code == 201
    assert time.monotonic() - started >= 0.2


async def test_shipments_and_keys_are_kept_between_runs(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        async with running_carrier(tmp_path) as client:
            answers.append(await book(client))
    first, second = answers
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]


async def test_unknown_tracking_number_says_so(carrier: httpx.AsyncClient) -> None:
    answer = await carrier.get("/track/LP-nobody")
    assert answer.status_code == 404
    assert "no parcel with this number" in answer.text


async def test_overview_escapes_what_customers_typed(carrier: httpx.AsyncClient) -> None:
    await book(carrier, body={**REQUEST, "to": {**ADDRESS, "name": "<script>alert(1)</script>"}})
    page = (await carrier.get("/")).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


@asynccontextmanager
async def telling_carrier(
    folder: Path, pace_s: float | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, "Sender"]]:
    """A carrier that tells of its parcels, and who hears it."""
    sender, port = Sender(), free_port()
    callbacks = Callbacks(f"http://{LOCALHOST}:{port}/heard", SECRET, pace_s)
    carrier_port = free_port()
    app = create_app(folder / "carrier.db", callbacks)
    async with (
        serving({port: sender.app, carrier_port: app}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{carrier_port}") as client,
    ):
        yield client, sender


SECRET = "whsec_VGhlVGVzdHNPd25TdGFuZGFyZFdlYmhvb2tzS2V5"


class Sender:
    """Whoever has booked parcels."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.status = 204
        self.app = Starlette(routes=[Route("/heard", self._hear, methods=["POST"])])

    async def _hear(self, request: Request) -> Response:
        body = await request.body()
        Webhook(SECRET).verify(body, dict(request.headers), json_parse=False)
        if self.status == 204:
            self.heard.append((request.headers["webhook-id"], json.loads(body)))
        return Response(status_code=self.status)

    @property
    def statuses(self) -> list[str]:
        return [event["data"]["status"] for _, event in self.heard]


async def test_moving_a_parcel_is_told_signed(tmp_path: Path) -> None:
    async with telling_carrier(tmp_path) as (carrier, sender):
        shipment = (await book(carrier)).json()
        for status in (None, None, "exception"):
            params = {"status": status} if status else {}
            url = f"/shipments/{shipment['id']}/advance"
            scan = (await carrier.post(url, params=params)).json()
            assert sender.heard[-1] == (
                scan["id"],
                {
                    "type": "tracking.updated",
                    "data": {
                        "reference": "cs_test_1/li_1",
                        "status": scan["status"],
                        "at": scan["at"],
                    },
                },
            )
        assert sender.statuses == ["in_transit", "delivered", "exception"]
        page = (await carrier.get(shipment["tracking_url"])).text
        assert "in transit" in page


async def test_what_the_sender_could_not_take_is_told_later_and_in_order(tmp_path: Path) -> None:
    async with telling_carrier(tmp_path) as (carrier, sender):
        shipment = (await book(carrier)).json()
        sender.status = 503
        await carrier.post(f"/shipments/{shipment['id']}/advance")
        assert sender.heard == []
        sender.status = 204
        await carrier.post(f"/shipments/{shipment['id']}/advance")
        assert sender.statuses == ["in_transit", "delivered"]


async def test_parcels_move_by_themselves_until_they_are_delivered(tmp_path: Path) -> None:
    async with telling_carrier(tmp_path, pace_s=0.05) as (carrier, sender):
        await book(carrier)

        async def delivered() -> bool | None:
            return True if len(sender.heard) >= 2 else None

        await eventually(delivered)
        await carrier.post("/faults", json={"delay_ms": 300})
        await book(carrier)  # takes long enough for a third move, were there one
        assert sender.statuses[:2] == ["in_transit", "delivered"]
        assert len({event_id for event_id, _ in sender.heard}) == len(sender.heard) == 2


async def test_button_on_the_tracking_page_moves_the_parcel(tmp_path: Path) -> None:
    async with telling_carrier(tmp_path) as (carrier, sender):
        shipment = (await book(carrier)).json()
        page = await carrier.post(
            f"/track/{shipment['tracking_number']}?status=exception", follow_redirects=True
        )
        assert page.status_code == 200
        assert "exception" in page.text
        assert sender.statuses == ["exception"]


async def test_unknown_parcel_cannot_be_moved(carrier: httpx.AsyncClient) -> None:
    answer = await carrier.post("/shipments/shp_nobody/advance")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_shipment"
