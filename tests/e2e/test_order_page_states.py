"""Every state of the customer's pages, in Chromium on a desk and on a phone, accessible in all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, expect
from temporalio.client import Client

from tests.harness import pages
from tests.harness.browser import chromium, needs_browser
from tests.harness.pages import Customer, Make
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World, eventually, open_world

pytestmark = needs_browser
SIZES = {"desktop": (1200, 900), "phone": (390, 844)}
SHOP = {
    "shop_name": "Kiosk & Sons",
    "shop_color": "#ffd166",
    "shop_support_email": "help@kiosk.example",
    "shop_postal_address": "Dock 4, 20457 Hamburg",
}


@pytest.fixture
async def kiosk(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> AsyncIterator[World]:
    async with open_world(database_url, client, temporal_address, tmp_path, **SHOP) as opened:
        yield opened


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


async def _reached(world: World, session_id: str, *states: str) -> str:
    async def reached() -> bool | None:
        order = await world.order_or_none(session_id)
        return True if order is not None and order.state in states else None

    await eventually(reached)
    return session_id


async def _fulfilled(world: World) -> str:
    keys = {"fulfillment": "license_key", "license_key_format": "KIOSK-XXXXXX-XXXXXX"}
    session_id = await world.shop.buy(ACCESS, keys, shipment(await world.new_sku()))
    await world.result(session_id)
    return session_id


async def _awaiting_payment(world: World) -> str:
    return await world.buy_delayed(ACCESS)


async def _payment_failed(world: World) -> str:
    session_id = await world.buy_delayed(ACCESS)
    await world.shop.fail(session_id)
    return await _reached(world, session_id, "payment_failed")


async def _action_required(world: World) -> str:
    session_id = await world.shop.buy(ACCESS, {})
    return await _reached(world, session_id, "action_required")


async def _partially_fulfilled(world: World) -> str:
    return await _reached(world, await world.shop.buy(ACCESS, MANUAL), "partially_fulfilled")


async def _backordered(world: World) -> str:
    sold_out = {**shipment(await world.new_sku(0)), "shipment_out_of_stock": "backorder"}
    return await _reached(world, await world.shop.buy(ACCESS, sold_out), "partially_fulfilled")


async def _reversed(world: World) -> str:
    session_id = await _fulfilled(world)
    token = world.settings.operator_token.get_secret_value()
    answer = await world.api.post(
        f"/orders/{session_id}/refunds",
        json={"by": "ops@example.com"},
        headers={"Authorization": f"Bearer {token}"},
    )
    answer.raise_for_status()

    async def gone() -> bool | None:
        order = await world.order(session_id)
        states = {item.state for line in order.lines for item in line.fulfillments}
        return True if states == {"reversed"} else None

    await eventually(gone)
    return session_id


async def _partly(world: World) -> str:
    """One line is refunded, one is given up, and one is on its way."""
    session_id = await world.shop.buy(ACCESS, MANUAL, shipment(await world.new_sku()))
    parked = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "skip", parked.step, "not made any more")
    await world.result(session_id)
    [parcel] = await world.parcels(session_id)
    await world.carrier.post(f"/shipments/{parcel['id']}/advance")
    lines = (await world.order(session_id)).lines
    [access] = [line for line in lines if line.fulfillments[0].kind == "access"]
    refund = {
        "amount": access.total.amount_minor,
        "metadata": {"line_items": f"{access.id}=1"},
    }
    await world.shop.control("POST", f"/sessions/{session_id}/refund", refund)

    async def gone() -> bool | None:
        lines = (await world.order(session_id)).lines
        parcels = [each for line in lines for item in line.fulfillments for each in item.parcels]
        states = {item.state for line in lines for item in line.fulfillments}
        return ("reversed" in states and parcels[0].status != "booked") or None

    await eventually(gone)
    return session_id


async def _unclear(world: World) -> str:
    """Nobody knows whether it is paid."""
    session_id = await world.shop.checkout(await world.shop.price(ACCESS))
    fault = {"path": session_id, "method": "GET", "status": 400}
    await world.shop.control("POST", "/faults", fault)
    await world.shop.pay(session_id)
    return await _reached(world, session_id, "action_required")


async def _unfinished(world: World) -> str:
    return await world.shop.checkout(await world.shop.price(ACCESS))


async def _later(world: World) -> str:
    session_id = await _fulfilled(world)
    await world.execute(
        "UPDATE orders SET checkout_created_at = now() - interval '1000 hours' "  # noqa: S608 - our own ID
        f"WHERE session_id = '{session_id}'"
    )
    return session_id


async def _unknown(_world: World) -> str:
    return "cs_test_a1b2c3d4e5f6g7h8NoSuchSession"


STATES: dict[str, tuple[Callable[[World], Awaitable[str]], str]] = {
    "fulfilled": (_fulfilled, "Thank you for your order"),
    "awaiting_payment": (_awaiting_payment, "Your payment is on its way"),
    "payment_failed": (_payment_failed, "Your payment did not go through"),
    "action_required": (_action_required, "Thank you for your order"),
    "partially_fulfilled": (_partially_fulfilled, "Thank you for your order"),
    "backordered": (_backordered, "Thank you for your order"),
    "partly": (_partly, "Thank you for your order"),
    "unclear": (_unclear, "We are checking your payment"),
    "reversed": (_reversed, "This order was canceled"),
    "unfinished": (_unfinished, "This checkout is not finished"),
    "later": (_later, "Thank you for your order"),
    "unknown": (_unknown, "We could not find this order"),
}


def _url(world: World, session_id: str) -> str:
    return f"{world.settings.public_url}/after-checkout?session_id={session_id}"


def _note_errors(errors: list[str], said: ConsoleMessage) -> None:
    # That a page of its own is answered 404, say, is told as an error too.
    if said.type == "error" and said.page and said.location["url"] != said.page.url:
        errors.append(said.text)


@pytest.mark.parametrize("state", STATES)
async def test_each_state_can_be_read_by_everybody_on_every_screen(
    kiosk: World, browser: Browser, state: str, tmp_path: Path
) -> None:
    make, title = STATES[state]
    async with kiosk.worker():
        session_id = await make(kiosk)
        await _look(browser, _url(kiosk, session_id), title, tmp_path / state)


async def _look(browser: Browser, url: str, title: str, shot: Path) -> None:
    async with _opened(browser, url) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)
        await _check(page, shot)


@asynccontextmanager
async def _opened(browser: Browser, url: str) -> AsyncIterator[Page]:
    page = await browser.new_page()
    refused: list[str] = []
    page.on("console", partial(_note_errors, refused))
    await page.goto(url)
    yield page
    # The page's own policy forbids nothing that the page does.
    assert refused == []
    await page.close()


async def _check(page: Page, shot: Path) -> None:
    """Whether everybody can read it, in every size; leaves a screenshot of each."""
    for size, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        await page.screenshot(path=shot.with_name(f"{shot.name}-{size}.png"), full_page=True)
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        overflow = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow == 0


PAGES: dict[Make, str] = {
    pages.sold_out: "Es tut uns leid: Dies ist ausverkauft",
    pages.waits: "Vielen Dank, dass Sie warten",
    pages.no_address: "Wohin sollen wir es schicken?",
    pages.loaded_too_often: "So oft heruntergeladen, wie es möglich ist",
    pages.file_missing: "Die Datei ist gerade nicht da",
    pages.download_expired: "Dieser Download ist beendet",
}


@pytest.mark.parametrize("make", PAGES, ids=lambda make: make.__name__)
async def test_what_a_link_leads_to_can_be_read_by_everybody_too(
    kiosk: World, browser: Browser, make: Make, tmp_path: Path
) -> None:
    url = await make(Customer(kiosk, "de"))
    await _look(
        browser, urljoin(kiosk.settings.public_url, url), PAGES[make], tmp_path / make.__name__
    )


async def test_what_to_change_in_an_address_can_be_read_by_everybody(
    kiosk: World, browser: Browser, tmp_path: Path
) -> None:
    url = await pages.no_address(Customer(kiosk, "de"))
    async with _opened(browser, url) as page:
        await page.evaluate("document.forms[0].noValidate = true")
        await page.get_by_label("Telefon").fill("call me")
        await page.get_by_role("button").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await _check(page, tmp_path / "wrong_address")


async def _settle_while_open(world: World, page: Page, fast_forward_s: int = 0) -> None:
    if fast_forward_s:
        await page.clock.install()
    async with world.worker():
        session_id = await world.buy_delayed(ACCESS)
        await page.goto(_url(world, session_id))
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Your payment is on its way"
        )
        await world.shop.settle(session_id)
        if fast_forward_s:
            await _reached(world, session_id, "fulfilled")
            await page.clock.fast_forward(fast_forward_s * 1000)
        await expect(page.get_by_text("Your access is ready")).to_be_visible(timeout=15_000)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your order")
        await expect(page).to_have_title("Thank you for your order · Kiosk & Sons")


async def test_an_open_page_updates_itself(kiosk: World, browser: Browser) -> None:
    page = await browser.new_page()
    loads: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            loads.append(request.url)

    page.on("request", note)
    await _settle_while_open(kiosk, page)
    assert len(loads) == 1


async def test_without_event_streams_it_asks_every_few_seconds(
    kiosk: World, browser: Browser
) -> None:
    page = await browser.new_page()
    await page.add_init_script("delete window.EventSource")
    await _settle_while_open(kiosk, page, fast_forward_s=5)


async def test_where_streams_are_refused_it_asks_too(kiosk: World, browser: Browser) -> None:
    page = await browser.new_page()
    await page.route("**/after-checkout/events*", lambda route: route.fulfill(status=503))
    await _settle_while_open(kiosk, page, fast_forward_s=5)


async def test_without_javascript_it_loads_itself_again(kiosk: World, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    await _settle_while_open(kiosk, await context.new_page())
    await context.close()
