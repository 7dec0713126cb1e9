"""The order's page: to whom it shows what, in which language, live, as JSON and in a frame."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from domain.colors import contrast, on, on_white
from domain.links import Links
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import SIGNING_SECRET, World, eventually, open_world

PAGE = "/after-checkout"
SHOP = {
    "shop_name": "Kiosk & Sons",
    "shop_logo_url": "https://cdn.example/logo.png",
    "shop_color": "#ffd166",
    "shop_support_email": "help@kiosk.example",
    "embed_origins": "https://kiosk.example",
}


@pytest.fixture
async def kiosk(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> AsyncIterator[World]:
    """A world of a shop with a name, a color and a site of its own."""
    async with open_world(database_url, client, temporal_address, tmp_path, **SHOP) as opened:
        yield opened


async def _fulfilled(world: World, *metadata: dict[str, str]) -> str:
    session_id = await world.shop.buy(*metadata)
    await world.result(session_id)
    return session_id


async def _age(world: World, session_id: str, hours: int) -> None:
    await world.execute(
        f"UPDATE orders SET checkout_created_at = now() - interval '{hours} hours' "  # noqa: S608 - our own ID
        f"WHERE session_id = '{session_id}'"
    )


async def _get(world: World, path: str = PAGE, **options: Any) -> httpx.Response:
    """Asks as a browser that has never been here."""
    async with httpx.AsyncClient(base_url=world.settings.public_url, timeout=30) as fresh:
        return await fresh.get(path, **options)


async def test_later_the_url_alone_shows_only_how_the_order_stands(world: World) -> None:
    async with world.worker():
        session_id = await _fulfilled(world, ACCESS)
    await _age(world, session_id, 47)
    assert "Your access is ready" in (await _get(world, params={"session_id": session_id})).text
    await _age(world, session_id, 49)
    page = await _get(world, params={"session_id": session_id})
    assert page.status_code == HTTPStatus.OK
    assert "Thank you for your order" in page.text
    assert "open the link in your e-mail" in page.text
    order = await world.order(session_id)
    for secret in (
        *(line.description for line in order.lines),
        *(each.value for line in order.lines for it in line.fulfillments for each in it.delivered),
        "Total",
    ):
        assert secret not in page.text


async def test_the_browser_that_came_from_checkout_sees_all_of_it_later(world: World) -> None:
    async with world.worker():
        session_id = await _fulfilled(world, ACCESS)
    async with httpx.AsyncClient(base_url=world.settings.public_url) as browser:
        first = await browser.get(PAGE, params={"session_id": session_id})
        cookie = first.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=lax", f"Path={PAGE}"} <= set(cookie.split("; "))
        await _age(world, session_id, 49)
        later = await browser.get(PAGE, params={"session_id": session_id})
        assert "Your access is ready" in later.text
        name, value = next(iter(browser.cookies.items()))
    forged = await _get(
        world, params={"session_id": session_id}, headers={"Cookie": f"{name}={value[:-2]}xx"}
    )
    assert "Your access is ready" not in forged.text


async def test_the_link_in_a_mail_shows_all_of_it_and_of_no_other_order(world: World) -> None:
    async with world.worker():
        one = await _fulfilled(world, ACCESS)
        other = await _fulfilled(world, ACCESS)
        mails = await world.mails()
    for session_id in (one, other):
        await _age(world, session_id, 1000)
    [link] = [
        word
        for mail in mails
        for word in mail["text"].split()
        if f"{PAGE}?session_id={one}" in word
    ]
    assert "Your access is ready" in (await _get(world, link)).text
    token = link.partition("token=")[2]
    stolen = await _get(world, params={"session_id": other, "token": token})
    assert "Your access is ready" not in stolen.text


def test_a_token_of_another_purpose_shows_no_order() -> None:
    links = Links("https://shop.example", [SIGNING_SECRET])
    assert links.shows_order(links.order_token("cs_test_12345678"), "cs_test_12345678")
    assert not links.shows_order("cs_test_12345678", "cs_test_12345678")
    other = Links("https://shop.example", ["another-secret-of-customers-links-012345"])
    assert not links.shows_order(other.order_token("cs_test_12345678"), "cs_test_12345678")


async def test_who_asks_for_too_many_pages_is_told_to_wait(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> None:
    limited = {"visits_per_minute": 3}
    async with open_world(database_url, client, temporal_address, tmp_path, **limited) as world:
        unknown = {"session_id": "cs_test_a1b2c3d4e5f6g7h8NoSuchSession"}
        for _ in range(3):
            assert (await _get(world, params=unknown)).status_code == HTTPStatus.NOT_FOUND
        for path in (PAGE, f"{PAGE}.json", f"{PAGE}/part", f"{PAGE}/events"):
            answer = await _get(world, path, params=unknown)
            assert answer.status_code == HTTPStatus.TOO_MANY_REQUESTS, path
            assert int(answer.headers["Retry-After"]) > 0
        assert "Please wait a minute" in (await _get(world, params=unknown)).text
        german = await _get(world, params=unknown, headers={"Accept-Language": "de"})
        assert "Bitte warten Sie eine Minute" in german.text
        again = await _get(world, "/try-again", params=unknown)
        assert again.status_code == HTTPStatus.TOO_MANY_REQUESTS
        key = await world.api.post("/licenses/validate", json={"key": "GUESSED"})
        assert (key.status_code, key.json()) == (429, {"error": "too many requests"})
        # Webhooks and probes are nobody's visits.
        assert (await world.api.get("/healthz")).status_code == HTTPStatus.OK

        async def status_for(address: str) -> int:
            # As a proxy on this machine, which uvicorn trusts, tells of its client.
            headers = {"X-Forwarded-For": address}
            return (await _get(world, params=unknown, headers=headers)).status_code

        assert await status_for("198.51.100.7") == HTTPStatus.NOT_FOUND
        household = [await status_for(f"2001:db8:0:1::{number}") for number in range(1, 5)]
        assert household == [*[HTTPStatus.NOT_FOUND] * 3, HTTPStatus.TOO_MANY_REQUESTS]
        assert await status_for("2001:db8:0:2::1") == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("accepted", "lang", "title"),
    [
        ("de-CH,de;q=0.9,en;q=0.5", "de-CH", "Vielen Dank für Ihre Bestellung"),
        ("xx,fr;q=0.3", "fr", "Merci pour votre commande"),
        ("ja", "ja", "ご注文ありがとうございます"),
        ("es", "es", "Gracias por su pedido"),
        ("xx;;,,q=1", "en", "Thank you for your order"),
        ("", "en", "Thank you for your order"),
    ],
)
async def test_the_page_speaks_the_customers_language(
    world: World, accepted: str, lang: str, title: str
) -> None:
    async with world.worker():
        session_id = await _fulfilled(world, ACCESS)
    page = await _get(
        world, params={"session_id": session_id}, headers={"Accept-Language": accepted}
    )
    assert f'<html lang="{lang}">' in page.text
    assert f"<h1>{title}</h1>" in page.text


async def test_the_language_of_checkout_wins(world: World) -> None:
    async with world.worker():
        price = await world.shop.price(ACCESS)
        session_id = await world.shop.checkout(price, locale="fr")
        await world.shop.pay(session_id)
        await world.result(session_id)
    page = await _get(world, params={"session_id": session_id}, headers={"Accept-Language": "de"})
    assert "Merci pour votre commande" in page.text


async def test_the_page_wears_the_shops_name_and_color(kiosk: World) -> None:
    page = await _get(kiosk)
    assert 'alt="Kiosk &amp; Sons"' in page.text
    assert 'href="mailto:help@kiosk.example"' in page.text
    assert "img-src https://cdn.example;" in page.headers["Content-Security-Policy"]
    css = await _get(kiosk, "/brand.css")
    assert "--brand: #ffd166; --on-brand: #1a1f36; --accent: #1a1f36;" in css.text


@pytest.mark.parametrize("color", ["#ffffff", "#000000", "#ffd166", "#3d5afe", "#808080"])
def test_text_can_be_read_whatever_the_color(color: str) -> None:
    assert contrast(on(color), color) >= 4.5 or on(color) == "#1a1f36"
    assert contrast(on_white(color), "#ffffff") >= 4.5


async def test_a_frame_is_for_the_merchants_own_sites(kiosk: World) -> None:
    async with kiosk.worker():
        session_id = await _fulfilled(kiosk, ACCESS)
    asked = {"session_id": session_id, "embedded": "true"}
    frame = await _get(kiosk, params=asked)
    policy = frame.headers["Content-Security-Policy"]
    assert "frame-ancestors https://kiosk.example;" in f"{policy};"
    assert "Your access is ready" in frame.text
    assert "Kiosk" not in frame.text
    assert "Set-Cookie" not in frame.headers
    whole = await _get(kiosk, params={"session_id": session_id})
    assert "frame-ancestors 'none'" in whole.headers["Content-Security-Policy"]


async def test_without_such_sites_nobody_may_frame_it(world: World) -> None:
    async with world.worker():
        session_id = await _fulfilled(world, ACCESS)
    frame = await _get(world, params={"session_id": session_id, "embedded": "true"})
    assert "frame-ancestors 'none'" in frame.headers["Content-Security-Policy"]


async def test_the_merchants_own_front_end_reads_the_order_as_json(kiosk: World) -> None:
    async with kiosk.worker():
        session_id = await _fulfilled(kiosk, ACCESS, shipment(await kiosk.new_sku()))
    headers = {"Origin": "https://kiosk.example"}
    answer = await _get(kiosk, f"{PAGE}.json", params={"session_id": session_id}, headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://kiosk.example"
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["state"], told["paid"], told["whole"]) == ("fulfilled", True, True)
    kinds = {item["kind"]: item for line in told["lines"] for item in line["fulfillments"]}
    [link] = kinds["access"]["delivered"]
    assert link["type"] == "link"
    [parcel] = kinds["shipment"]["parcels"]
    assert parcel["tracking_url"]
    order = await kiosk.order(session_id)
    for personal in (order.customer_email, order.customer_name):
        assert personal
        assert personal not in answer.text
    stranger = await _get(
        kiosk,
        f"{PAGE}.json",
        params={"session_id": session_id},
        headers={"Origin": "https://evil.example"},
    )
    assert "Access-Control-Allow-Origin" not in stranger.headers
    await _age(kiosk, session_id, 49)
    later = (await _get(kiosk, f"{PAGE}.json", params={"session_id": session_id})).json()
    assert (later["whole"], later["lines"], later["total"]) == (False, [], None)


@pytest.mark.parametrize("path", [f"{PAGE}.json", f"{PAGE}/part", f"{PAGE}/events"])
@pytest.mark.parametrize("session_id", ["", "x", "cs_test_a1b2c3d4e5f6g7h8NoSuchSession"])
async def test_of_other_sessions_nothing_is_told(world: World, path: str, session_id: str) -> None:
    answer = await _get(world, path, params={"session_id": session_id})
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert answer.json() == {"detail": "no such order"}


def _stream_of(page: httpx.Response) -> str:
    """Where a page listens."""
    [url] = re.findall(r'data-events="([^"]+)"', page.text)
    return html.unescape(url)


async def _events(world: World, url: str, heard: asyncio.Queue[str]) -> None:
    async with (
        httpx.AsyncClient(base_url=world.settings.public_url, timeout=30) as browser,
        browser.stream("GET", url) as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                await heard.put(line.removeprefix("event: "))


async def test_the_page_hears_of_each_change_and_of_the_end(world: World) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, MANUAL)
        parked = await world.step_in(session_id, "awaiting_operator")

        async def mailed() -> bool | None:
            return True if (await world.order(session_id)).receipt_sent_at else None

        await eventually(mailed)
        stream = _stream_of(await _get(world, params={"session_id": session_id}))
        listening = asyncio.create_task(_events(world, stream, heard))
        await asyncio.sleep(1.5)
        assert heard.empty()
        async with world.database.transaction() as connection:
            await connection.exec_driver_sql(
                "UPDATE fulfillments SET note = 'x' WHERE state = 'awaiting_operator'"
            )
        assert await asyncio.wait_for(heard.get(), 5) == "changed"
        # Who has loaded the page before that, and connects only now, is told at once.
        late: asyncio.Queue[str] = asyncio.Queue()
        connecting = asyncio.create_task(_events(world, stream, late))
        assert await asyncio.wait_for(late.get(), 5) == "changed"
        connecting.cancel()
        await world.decide(session_id, "mark_fulfilled", parked.step)
        last = ""
        while last != "over":
            last = await asyncio.wait_for(heard.get(), 10)
        await asyncio.wait_for(listening, 5)
    part = await _get(world, f"{PAGE}/part", params={"session_id": session_id})
    assert part.headers["X-Order-Over"] == "true"
    assert "<html" not in part.text
    assert "Thank you for your order" in part.text
