"""What a new user of `make up` does: buys in the shop, and looks at page, mail and workflow."""

import base64
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import FrameLocator, Page, expect

from local.stack import Stack
from tests.harness.browser import chromium, needs_browser
from tests.harness.world import eventually

pytestmark = needs_browser

# The order's page loads itself again every five seconds while something is still to come.
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    # Encrypted: what the Web UI shows, it has asked the codec for.
    async with Stack(payload_keys=base64.b64encode(os.urandom(32)).decode()) as running:
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
    if await page.get_by_label("Full name").count():
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


async def _read_mail(page: Page, stack: Stack, subject: str) -> FrameLocator:
    """Opens the newest mail of that subject, which may still be on its way."""
    await page.goto(stack.urls["Mail inbox"])
    # The inbox loads itself again until the mail is there.
    await page.get_by_role("link", name=subject).first.click()
    return page.frame_locator("iframe")


@pytest.mark.parametrize(
    "sample",
    [
        ("Online course", "Your access is ready", "https://example.com/course"),
        ("Team workspace", "Your access is ready", "https://example.com/workspace"),
        ("Photo editor", "Your license key", "PHOTO-"),
        ("Blue mug", "Your parcel is booked", "LP"),
        ("One hour of consulting", "We are preparing this for you", "One hour of consulting"),
    ],
)
async def test_what_is_bought_is_on_the_page_and_in_the_receipt(
    stack: Stack, page: Page, tmp_path: Path, sample: tuple[str, str, str]
) -> None:
    product, shown, mailed = sample
    await _buy(page, stack, product)
    await expect(page.get_by_text(shown)).to_be_visible()
    await expect(page.get_by_text("A receipt is in your mailbox.")).to_be_visible()
    await page.screenshot(path=tmp_path / "landing.png", full_page=True)
    mail = await _read_mail(page, stack, "Your order is confirmed")
    await expect(mail.locator(f"a[href={mailed!r}], :text({mailed!r})").first).to_be_visible()
    await page.screenshot(path=tmp_path / "mail.png", full_page=True)


async def test_a_file_is_downloaded_from_the_page_and_by_the_mail(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    await _buy(page, stack, "Field recordings")
    link = page.get_by_role("link", name="field-notes.txt")
    await expect(page.get_by_text("A receipt is in your mailbox.")).to_be_visible()
    await page.screenshot(path=tmp_path / "landing.png", full_page=True)
    async with page.expect_download() as downloading:
        await link.click()
    download = await downloading.value
    assert download.suggested_filename == "field-notes.txt"
    assert "two herons" in (await download.path()).read_text()
    mail = await _read_mail(page, stack, "Your order is confirmed")
    await expect(mail.get_by_role("link", name="field-notes.txt")).to_be_visible()
    await page.screenshot(path=tmp_path / "mail.png", full_page=True)


async def test_what_the_merchants_own_service_makes_comes_a_moment_later(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    session_id = await _buy(page, stack, "Entry in the register of teapots")
    await expect(page.get_by_text("Your entry in the register")).to_be_visible()
    await page.screenshot(path=tmp_path / "landing.png", full_page=True)
    mail = await _read_mail(page, stack, "Ready for you: Entry in the register of teapots")
    await expect(mail.get_by_text("Your entry in the register")).to_be_visible()
    await page.screenshot(path=tmp_path / "mail.png", full_page=True)
    await page.goto(stack.urls["Merchant"])
    await expect(page.get_by_text("called back: HTTP 200").first).to_be_visible()
    await page.screenshot(path=tmp_path / "merchant.png", full_page=True)
    await page.goto(f"{stack.urls['Temporal']}/{session_id}")
    await expect(page.get_by_text("Completed").first).to_be_visible()


async def test_who_bought_what_has_sold_out_chooses_the_money_back(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    await _buy(page, stack, "Signed print, sold out")
    await expect(page.get_by_text("This has sold out.")).to_be_visible()
    await page.screenshot(path=tmp_path / "landing.png", full_page=True)
    landing_page = page.url
    mail = await _read_mail(page, stack, "Sold out: Signed print, sold out")
    await page.screenshot(path=tmp_path / "mail.png", full_page=True)
    answer_url = await mail.get_by_role("link").first.get_attribute("href")
    await page.goto(answer_url or "")
    await page.screenshot(path=tmp_path / "question.png", full_page=True)
    await page.get_by_role("button", name=re.compile("money", re.IGNORECASE)).click()
    await page.screenshot(path=tmp_path / "answered.png", full_page=True)
    await page.goto(landing_page)
    await expect(page.get_by_text("we are on it")).to_be_visible()


async def _on_dashboard(page: Page, stack: Stack, session_id: str, button: str) -> None:
    """Clicks a button of a session in the dashboard, and waits until it has had its effect."""
    await page.goto(f"{stack.urls['Shop']}/dashboard")
    row = page.get_by_role("row").filter(has_text=session_id[-6:])
    async with page.expect_navigation():
        await row.get_by_role("button", name=button, exact=True).click()


async def test_a_dispute_and_a_refund_in_the_dashboard_take_back_and_give_back(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    session_id = await _buy(page, stack, "Online course")
    landing = page.url
    access = page.get_by_role("link", name="https://example.com/course")
    await expect(access).to_be_visible()

    async def shows(heading: str, *, has_access: bool, name: str) -> None:
        async def is_shown() -> bool | None:
            await page.goto(landing)
            return await page.get_by_role("heading").first.inner_text() == heading or None

        await eventually(is_shown)
        await expect(access).to_have_count(1 if has_access else 0)
        await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    await _on_dashboard(page, stack, session_id, "dispute")
    await shows("This order was canceled", has_access=False, name="disputed")
    mail = await _read_mail(page, stack, "Your bank disputes your payment to us")
    await expect(mail.get_by_text("Online course")).to_be_visible()
    await page.screenshot(path=tmp_path / "disputed-mail.png", full_page=True)

    await _on_dashboard(page, stack, session_id, "dispute won")
    await shows("Thank you for your order", has_access=True, name="won")
    mail = await _read_mail(page, stack, "Your order is yours again")
    await expect(mail.get_by_text("everything that you bought is yours again")).to_be_visible()

    await _on_dashboard(page, stack, session_id, "refund")
    await page.screenshot(path=tmp_path / "dashboard.png", full_page=True)
    await shows("This order was canceled", has_access=False, name="refunded")
    mail = await _read_mail(page, stack, "Your refund:")
    await expect(mail.get_by_text("Links and keys of it do not work any more")).to_be_visible()
    await page.screenshot(path=tmp_path / "refunded-mail.png", full_page=True)

    await page.goto(stack.urls["Temporal"])
    await page.get_by_role("link", name=re.compile("^re_")).first.click()
    await expect(page.get_by_text("tell_of_reversal").first).to_be_visible()
    await expect(page.get_by_text('"refund"').first).to_be_visible()
    await page.screenshot(path=tmp_path / "workflow.png", full_page=True)


async def _update(page: Page, name: str, decision: dict[str, str]) -> None:
    """Sends an update on the Temporal Web UI's page of a workflow."""
    await page.get_by_role("button", name="More Actions").filter(visible=True).first.click()
    await page.get_by_text("Send an Update").filter(visible=True).first.click()
    dialog = page.get_by_role("dialog").filter(visible=True)
    await (
        dialog.get_by_test_id("update-select").locator("xpath=ancestor::button[1]|..").last.click()
    )
    # Each stands with what it is for.
    option = page.get_by_role("option", name=re.compile(rf"^{name}\b"))
    await option.filter(visible=True).first.click()
    await dialog.get_by_role("textbox").last.click()
    await page.keyboard.insert_text(json.dumps(decision))
    await dialog.get_by_test_id("update-id").press("Enter")
    await expect(dialog).to_be_hidden()


async def test_an_operator_retries_and_skips_in_the_temporal_web_ui(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    async with httpx.AsyncClient(base_url=stack.urls["Carrier"]) as carrier:
        await carrier.post("/faults", json={"status": 422, "count": 2})
    session_id = await _buy(page, stack, "Blue mug")
    await expect(page.get_by_text("Part of your order needs a look from us")).to_be_visible()

    found = f'NeedsAttention = true AND WorkflowId = "{session_id}"'
    listed = page.get_by_role("link", name=session_id).filter(visible=True).first
    await page.goto(f"{stack.urls['Temporal']}?{urlencode({'query': found})}")
    await expect(listed).to_be_visible()
    await page.screenshot(path=tmp_path / "needs-attention.png")
    workflow = f"{stack.urls['Temporal']}/{session_id}"
    details = page.frame_locator("iframe").last
    await page.goto(workflow)
    await page.get_by_role("tab", name="User Metadata").click()
    await expect(
        details.get_by_text("Send an update: mark_fulfilled, retry, skip.")
    ).to_be_visible()
    await page.screenshot(path=tmp_path / "stuck.png", full_page=True)
    row = details.get_by_role("row").filter(has_text=":shipment")
    step = await row.get_by_role("cell").first.inner_text()

    who = {"step": step, "by": "ops@example.com"}
    await _update(page, "retry", who)
    await page.goto(workflow)
    await page.get_by_role("tab", name="User Metadata").click()
    await expect(row).to_contain_text(re.compile(r"action_required\s*2"))
    await _update(page, "skip", {**who, "reason": "the customer fetches it"})
    await page.goto(workflow)
    await expect(page.get_by_text("Completed").filter(visible=True).first).to_be_visible()
    await page.screenshot(path=tmp_path / "skipped.png", full_page=True)

    api = stack.environment["PUBLIC_URL"]
    await page.goto(f"{api}/after-checkout?session_id={session_id}")
    await expect(page.get_by_text("Not delivered.")).to_be_visible()
