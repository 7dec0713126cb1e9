"""What a new user of `make up` does: buys in the shop, and looks at page, mail and workflow."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from local.stack import Stack
from tests.harness.browser import chromium, needs_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with Stack() as running:
        yield running


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(15_000)
        yield page


async def _buy(page: Page, stack: Stack, product: str) -> str:
    """Buys a product with the guide's test card; returns the session's ID."""
    await page.goto(stack.urls["Shop"])
    card = page.get_by_role("heading", name=product).locator("xpath=ancestor::*[.//button][1]")
    await card.get_by_role("button", name="Buy").click()
    await page.get_by_label("Email").fill("jo@example.com")
    await page.get_by_label("Full name").fill("Jo Doe")
    await page.get_by_label("Address", exact=True).fill("1 Main Street")
    await page.get_by_label("City").fill("Springfield")
    await page.get_by_label("State or region").fill("IL")
    await page.locator("#shipping_postal_code").fill("62701")
    await page.get_by_label("Card number").fill("4242 4242 4242 4242")
    await page.get_by_label("Expiration").fill("12 / 34")
    await page.get_by_label("CVC").fill("123")
    await page.get_by_label("Cardholder name").fill("Jo Doe")
    await page.get_by_label("Postal code").last.fill("90210")
    await page.get_by_role("button", name=re.compile("^Pay ")).click()
    await page.wait_for_url("**/after-checkout?session_id=cs_test_*")
    return page.url.rpartition("=")[2]


async def test_a_purchase_from_the_shop_to_the_landing_page_the_mail_and_the_workflow(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    session_id = await _buy(page, stack, "Book and e-book: Orders That Arrive")

    await expect(page.get_by_role("heading")).to_have_text("Thank you for your order")
    await expect(page.get_by_text("Your access is ready")).to_be_visible()
    await expect(page.get_by_text("Your parcel is booked")).to_be_visible()
    await expect(page.get_by_text("A receipt is in your mailbox.")).to_be_visible()
    await page.screenshot(path=tmp_path / "landing.png", full_page=True)

    tracking = page.get_by_role("link").last
    number = await tracking.inner_text()
    await tracking.click()
    await expect(page.get_by_text(number).first).to_be_visible()

    await page.goto(stack.urls["Mail inbox"])
    await page.get_by_role("link", name="Your order is confirmed").click()
    mail = page.frame_locator("iframe")
    await expect(mail.get_by_text("thank you for your order")).to_be_visible()
    await expect(mail.get_by_text(number)).to_be_visible()
    await page.screenshot(path=tmp_path / "mail.png", full_page=True)

    await page.goto(stack.urls["Temporal"])
    await page.get_by_role("link", name=session_id).first.click()
    await page.wait_for_url(f"**/workflows/{session_id}/*/**")
    await expect(page.get_by_text("book_shipment").first).to_be_visible()
    await expect(page.get_by_text("send_receipt").first).to_be_visible()
    await page.screenshot(path=tmp_path / "workflow.png", full_page=True)

    await page.goto(stack.urls["API"])
    await expect(page.get_by_text("/after-checkout").first).to_be_visible()
