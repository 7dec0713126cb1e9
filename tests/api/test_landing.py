"""What the landing page shows to whom, and what it does not start."""

import asyncio
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.landing import MAX_WAIT_S
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.orders import Question
from local.ports import LOCALHOST, free_port
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, MANUAL
from tests.harness.world import SIGNING_SECRET, World


@pytest.mark.parametrize(
    "session_id",
    [
        "",
        "{CHECKOUT_SESSION_ID}",
        "cs_test_",
        "cs_test_a1b2c3d4e5f6g7h8i9j0UnknownToStripe",
        "cs_live_a1b2c3d4e5f6g7h8i9j0OfTheOtherMode",
        "pi_123456789",
        "cs_test_../../../etc/passwd",
        "<script>alert(1)</script>",
        "cs_test_" + "a" * 5000,
        "cs_test_abcdefgh\n",
        "cs_test_\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
    ],
)
async def test_a_session_id_that_is_not_ours_gets_a_friendly_404_and_starts_nothing(
    world: World, session_id: str
) -> None:
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 404
    assert "We could not find this order" in page.text
    assert "<script>alert" not in page.text
    if session_id:
        assert await world.steps(session_id) == {}
        if "\n" not in session_id:
            assert await world.order_or_none(session_id) is None


async def test_a_session_of_another_account_is_not_found(world: World) -> None:
    price = await world.shop.price(ACCESS)
    session_id = await world.shop.checkout(price)
    await world.shop.control(
        "POST", "/faults", {"path": session_id, "method": "GET", "status": 404, "count": 1}
    )
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 404


async def test_without_a_session_id_there_is_no_order(world: World) -> None:
    assert (await world.api.get("/after-checkout")).status_code == 404


async def test_an_unfinished_checkout_leads_back_to_the_payment_and_starts_nothing(
    world: World,
) -> None:
    session_id = await world.shop.checkout(await world.shop.price(ACCESS))
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 200
    assert "This checkout is not finished" in page.text
    session = await world.shop.stripe.v1.checkout.sessions.retrieve_async(session_id)
    assert f'href="{session.url}"' in page.text
    assert await world.steps(session_id) == {}


async def test_the_page_is_neither_stored_nor_framed_nor_told_of(world: World) -> None:
    page = await world.api.get("/after-checkout", params={"session_id": "x"})
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_names_from_outside_are_escaped(world: World) -> None:
    async with world.worker():
        price = await world.shop.price(ACCESS, name="<img src=x onerror=alert(1)>")
        session_id = await world.shop.checkout(price)
        await world.shop.pay(session_id)
        await world.result(session_id)
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert "<img" not in page.text
    assert "&lt;img src=x" in page.text
    [mail] = await world.mails()
    assert "<img" not in mail["html"]


async def test_without_a_worker_the_page_comes_within_its_bound(world: World) -> None:
    session_id = await world.shop.buy(ACCESS)
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 503
    assert 'http-equiv="refresh"' in page.text
    assert page.elapsed.total_seconds() < 2 * MAX_WAIT_S


async def test_while_temporal_says_nothing_the_page_comes_with_what_is_recorded(
    world: World,
) -> None:
    async with world.worker():
        recorded = await world.shop.buy(MANUAL)
        await world.step_in(recorded, "awaiting_operator")
    await world.shop.deliveries("drop")
    unrecorded = await world.shop.buy(ACCESS)
    port, temporal_port = free_port(), free_port()
    settings = world.settings.model_copy(
        update={"temporal_address": f"{LOCALHOST}:{temporal_port}"}
    )
    async with (
        await asyncio.start_server(_say_nothing, LOCALHOST, temporal_port),
        serving({port: create_app(settings)}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}", timeout=20) as api,
    ):
        pages = await asyncio.gather(
            *(
                api.get("/after-checkout", params={"session_id": session_id})
                for session_id in (recorded, unrecorded)
            )
        )
    assert [page.status_code for page in pages] == [200, 503]
    for page in pages:
        assert page.elapsed.total_seconds() < 2 * MAX_WAIT_S


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes what comes and never answers."""
    while await reader.read(65536):
        pass
    writer.close()


async def test_while_stripe_is_away_the_page_asks_for_a_moment(world: World) -> None:
    await world.shop.deliveries("drop")
    session_id = await world.shop.buy(ACCESS)
    await world.shop.control("POST", "/faults", {"path": session_id, "status": 500, "count": 1})
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 503
    assert await world.steps(session_id) == {}


@pytest.mark.parametrize("purpose", ["answer", "download"])
async def test_while_the_database_is_away_a_link_of_a_mail_asks_for_a_moment(
    world: World, purpose: str
) -> None:
    ref = FulfillmentRef(session_id=f"cs_test_{uuid4().hex}", line_item_id="li_1", kind="download")
    links = Links("", [SIGNING_SECRET])
    link = {
        "answer": links.answer(ref, Question.ADDRESS),
        "download": links.download(ref, "manual.pdf", None),
    }[purpose]
    away = SecretStr(f"postgresql://u:p@127.0.0.1:{free_port()}/x")
    settings = world.settings.model_copy(update={"database_url": away})
    port = free_port()
    async with (
        serving({port: create_app(settings)}),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as api,
    ):
        page = await api.get(link, headers={"Accept": "text/html", "Accept-Language": "fr"})
        answer = await api.get(link)
    assert (page.status_code, answer.status_code) == (503, 503)
    assert '<html lang="fr"' in page.text
    assert 'http-equiv="refresh"' in page.text
    assert answer.json() == {"error": "the database cannot be reached"}
