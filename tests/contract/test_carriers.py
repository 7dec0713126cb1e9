"""What every carrier's adapter promises, over each of them, against servers on real ports."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.ports import Carrier
from adapters.carriers import open_carrier
from adapters.easypost_carrier import EasyPostCarrier
from adapters.http_carrier import HttpCarrier
from domain.checkout import Address
from domain.errors import (
    AddressRefusedError,
    MisconfiguredError,
    PermanentError,
    TransientError,
)
from domain.shipping import (
    CarrierChoice,
    ParcelItem,
    RateOrder,
    RateRule,
    ShipmentRequest,
    choose_rate,
)
from local.carrier.app import create_app
from local.ports import LOCALHOST, free_port
from tests.harness.easypost import API_KEY, EasyPostStandIn
from tests.harness.serving import serving

REFERENCE = "cs_test_1:li_1:shipment"
STREET = "27 Fredrick Ave"
TO = Address(
    name="Jenny Rosen",
    line1=STREET,
    city="Brothers",
    state="OR",
    postal_code="97712",
    country="US",
)
UNKNOWN = TO.model_copy(update={"postal_code": "00000"})
FROM = Address(
    name="The Shop", line1="1 Dock St", city="Reno", state="NV", postal_code="89501", country="US"
)
REQUEST = ShipmentRequest(
    reference=REFERENCE,
    to=TO,
    phone="+15555550100",
    from_address=FROM,
    items=(ParcelItem(sku="MUG-BLUE", quantity=2, weight_grams=350),),
)


class Troubled:
    """A server to whose POST requests something can happen."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.answer: Response | None = None
        """Answered instead of the server's own."""
        self.loses_answers = False
        """Whether the server does its work, and then says 503."""
        self.delay_s = 0.0
        self.gate = asyncio.Event()
        """Closed, requests wait there."""
        self.gate.set()
        self.arrived: asyncio.Queue[None] = asyncio.Queue()
        """Has one entry for each request that came."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        self.arrived.put_nowait(None)
        await asyncio.sleep(self.delay_s)
        await self.gate.wait()
        if self.answer is not None:
            await self.answer(scope, receive, send)
        elif self.loses_answers:
            await self._app(scope, receive, _nowhere)
            await Response(status_code=503)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _nowhere(_: Message) -> None:
    pass


@dataclass(frozen=True)
class Rig:
    """A carrier's adapter and its server."""

    carrier: Carrier
    server: Troubled
    count_booked: Callable[[], Awaitable[int]]


@asynccontextmanager
async def http_rig(folder: Path) -> AsyncIterator[Rig]:
    server, port = Troubled(create_app(folder / "carrier.db")), free_port()
    url = f"http://{LOCALHOST}:{port}"
    async with serving({port: server}), HttpCarrier(url, timeout_s=1) as carrier:

        async def count_booked() -> int:
            async with httpx.AsyncClient(base_url=url) as client:
                return len((await client.get("/shipments")).json()["shipments"])

        yield Rig(carrier, server, count_booked)


@asynccontextmanager
async def easypost_rig(_: Path) -> AsyncIterator[Rig]:
    stand_in, port = EasyPostStandIn(), free_port()
    server, url = Troubled(stand_in.app), f"http://{LOCALHOST}:{port}"
    async with serving({port: server}), EasyPostCarrier(API_KEY, url, timeout_s=1) as carrier:

        async def count_booked() -> int:
            return len(stand_in.bought)

        yield Rig(carrier, server, count_booked)


RIGS = {CarrierChoice.HTTP: http_rig, CarrierChoice.EASYPOST: easypost_rig}


@pytest.fixture(params=CarrierChoice)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    async with RIGS[request.param](tmp_path) as opened:
        yield opened


async def test_what_was_not_booked_is_not_found(rig: Rig) -> None:
    assert await rig.carrier.find(REFERENCE) is None


async def test_booked_parcel_has_label_and_tracking_and_is_found_again(rig: Rig) -> None:
    booked = await rig.carrier.book(REQUEST, None)
    assert booked.label_url
    assert booked.label_url.startswith("http")
    assert booked.tracking_url.startswith("http")
    assert booked.tracking_number
    assert booked.price
    assert booked.price.amount_minor > 0
    assert await rig.carrier.find(REFERENCE) == booked
    assert await rig.carrier.find(f"{REFERENCE}:2") is None


async def test_booking_again_books_nothing_more(rig: Rig) -> None:
    first = await rig.carrier.book(REQUEST, None)
    assert await rig.carrier.book(REQUEST, None) == first
    assert await rig.count_booked() == 1


async def test_booking_at_the_same_moment_books_once(rig: Rig) -> None:
    booked = await asyncio.gather(*(rig.carrier.book(REQUEST, None) for _ in range(5)))
    assert len({each.id for each in booked}) == 1
    assert await rig.count_booked() == 1


@pytest.mark.parametrize("order", RateOrder)
async def test_parcel_goes_by_the_chosen_rate(rig: Rig, order: RateOrder) -> None:
    rates = await rig.carrier.quote(REQUEST)
    assert await rig.count_booked() == 0
    chosen = choose_rate(rates, RateRule(otherwise=order))
    booked = await rig.carrier.book(REQUEST, chosen)
    assert (booked.carrier, booked.service) == (chosen.carrier, chosen.service)
    assert booked.price == chosen.price


async def test_chosen_rate_holds_when_rates_were_asked_for_once_more(rig: Rig) -> None:
    chosen = choose_rate(await rig.carrier.quote(REQUEST), RateRule(otherwise=RateOrder.FASTEST))
    await rig.carrier.quote(REQUEST)
    assert (await rig.carrier.book(REQUEST, chosen)).service == chosen.service


async def test_unknown_address_is_told_from_other_refusals(rig: Rig) -> None:
    request = REQUEST.model_copy(update={"to": UNKNOWN})
    with pytest.raises(AddressRefusedError):
        await rig.carrier.quote(request)
    with pytest.raises(AddressRefusedError):
        await rig.carrier.book(request, None)
    assert await rig.count_booked() == 0


async def test_corrected_address_is_booked_under_the_same_reference(rig: Rig) -> None:
    with pytest.raises(AddressRefusedError):
        await rig.carrier.book(REQUEST.model_copy(update={"to": UNKNOWN}), None)
    booked = await rig.carrier.book(REQUEST, None)
    assert await rig.carrier.find(REFERENCE) == booked


async def test_what_has_changed_since_the_quote_is_booked_as_it_is_now(rig: Rig) -> None:
    light = await rig.carrier.quote(REQUEST)
    moved = REQUEST.model_copy(update={"to": TO.model_copy(update={"line1": "354 Oyster Pt"})})
    booked = await rig.carrier.book(moved, None)
    assert booked.price in {rate.price for rate in light}
    assert await rig.carrier.find(REFERENCE) == booked
    assert await rig.carrier.book(moved, None) == booked
    assert await rig.count_booked() == 1


async def test_lost_answer_to_a_booking_is_found_by_the_next_try(rig: Rig) -> None:
    chosen = (await rig.carrier.quote(REQUEST))[0]
    rig.server.loses_answers = True
    with pytest.raises(TransientError):
        await rig.carrier.book(REQUEST, chosen)
    rig.server.loses_answers = False
    found = await rig.carrier.find(REFERENCE)
    assert found is not None
    assert await rig.carrier.book(REQUEST, chosen) == found
    assert await rig.count_booked() == 1


async def test_given_up_booking_that_goes_on_is_not_booked_twice(rig: Rig) -> None:
    chosen = (await rig.carrier.quote(REQUEST))[0]
    rig.server.gate.clear()
    rig.server.arrived = asyncio.Queue()
    given_up = asyncio.create_task(rig.carrier.book(REQUEST, chosen))
    await rig.server.arrived.get()
    given_up.cancel()
    second = asyncio.create_task(rig.carrier.book(REQUEST, chosen))
    await rig.server.arrived.get()
    rig.server.gate.set()
    assert await second == await rig.carrier.find(REFERENCE)
    assert await rig.count_booked() == 1


REFUSALS = {
    400: PermanentError,
    422: PermanentError,
    401: MisconfiguredError,
    403: MisconfiguredError,
    408: TransientError,
    429: TransientError,
    500: TransientError,
    502: TransientError,
    503: TransientError,
}


@pytest.mark.parametrize(("status", "expected"), REFUSALS.items())
async def test_refusal_says_whether_to_try_again_and_nothing_of_the_customer(
    rig: Rig, status: int, expected: type[PermanentError | TransientError]
) -> None:
    body = f'{{"error": {{"code": "SOME.CODE", "message": "{STREET}", "errors": ["{STREET}"]}}}}'
    rig.server.answer = Response(body, status, media_type="application/json")
    with pytest.raises(expected) as refusal:
        await rig.carrier.book(REQUEST, None)
    assert type(refusal.value) is expected
    assert "SOME.CODE" in refusal.value.message
    assert STREET not in refusal.value.message


async def test_slow_carrier_is_asked_again_later(rig: Rig) -> None:
    rig.server.delay_s = 1.5
    with pytest.raises(TransientError):
        await rig.carrier.book(REQUEST, None)


@pytest.mark.parametrize(
    "body", ["", "<html>", "null", "[]", '"text"', "{}", '{"id": 7}', '{"rates": 1}']
)
async def test_unreadable_answer_is_asked_for_again(rig: Rig, body: str) -> None:
    rig.server.answer = Response(body, 200)
    for attempt in (rig.carrier.quote(REQUEST), rig.carrier.book(REQUEST, None)):
        with pytest.raises(TransientError):
            await attempt


@pytest.mark.parametrize("choice", CarrierChoice)
async def test_carrier_that_is_away_is_asked_again_later(choice: CarrierChoice) -> None:
    async with open_carrier(choice, f"http://{LOCALHOST}:{free_port()}", "key") as carrier:
        with pytest.raises(TransientError):
            await carrier.find(REFERENCE)


async def test_easypost_with_a_wrong_key_waits_for_a_mended_one() -> None:
    port = free_port()
    async with (
        serving({port: EasyPostStandIn().app}),
        open_carrier(CarrierChoice.EASYPOST, f"http://{LOCALHOST}:{port}", "wrong") as carrier,
    ):
        with pytest.raises(MisconfiguredError):
            await carrier.find(REFERENCE)


async def test_easypost_wants_to_know_where_a_parcel_comes_from(tmp_path: Path) -> None:
    async with easypost_rig(tmp_path) as rig:
        with pytest.raises(MisconfiguredError, match=r"catalog\.toml"):
            await rig.carrier.book(REQUEST.model_copy(update={"from_address": None}), None)


async def test_easypost_hears_the_weight_in_ounces_and_never_too_little() -> None:
    stand_in, port = EasyPostStandIn(), free_port()
    async with (
        serving({port: stand_in.app}),
        EasyPostCarrier(API_KEY, f"http://{LOCALHOST}:{port}") as carrier,
    ):
        await carrier.book(REQUEST, None)
    assert stand_in.bought[0]["parcel"]["weight"] == 24.7  # 700 g are 24.69 oz


async def test_a_parcel_is_canceled_once_and_for_all(rig: Rig) -> None:
    booked = await rig.carrier.book(REQUEST, None)
    for _ in range(2):
        assert await rig.carrier.cancel(booked.id)


async def test_a_lost_answer_to_a_cancellation_is_asked_for_again(rig: Rig) -> None:
    booked = await rig.carrier.book(REQUEST, None)
    rig.server.loses_answers = True
    with pytest.raises(TransientError):
        await rig.carrier.cancel(booked.id)
    rig.server.loses_answers = False
    assert await rig.carrier.cancel(booked.id)
