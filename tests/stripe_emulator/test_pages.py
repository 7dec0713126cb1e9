"""Purchases in headless Chromium, as a customer makes them."""

import re
from collections.abc import AsyncIterator

import pytest
import stripe
from playwright.async_api import Browser, FrameLocator, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.harness.browser import chromium, needs_browser

from .conftest import Control, Inbox, Server, Shop, free_port

pytestmark = needs_browser


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(10_000)
    yield page
    await page.close()


async def fill_card(page: Page | FrameLocator, number: str = "4242 4242 4242 4242") -> None:
    await page.get_by_label("Card number").fill(number)
    await page.get_by_label("Expiration").fill("12 / 34")
    await page.get_by_label("CVC").fill("123")
    await page.get_by_label("Cardholder name").fill("Jenny Rosen")
    await page.get_by_label("Postal code").last.fill("90210")


async def fill_address(page: Page) -> None:
    await page.get_by_label("Full name").fill("Jenny Rosen")
    await page.get_by_label("Address", exact=True).fill("1 Main St")
    await page.get_by_label("City").fill("Springfield")
    await page.get_by_label("State or region").fill("CA")
    await page.locator("#shipping_postal_code").fill("90210")


async def test_the_shop_sells_a_mug_by_card_and_ships_it(
    page: Page, base_url: str, inbox: Inbox, client: stripe.StripeClient
) -> None:
    await page.goto(base_url)
    await page.get_by_role("button", name="Buy Blue mug").click()
    await page.get_by_label("Email").fill("jenny@example.com")
    await fill_address(page)
    await fill_card(page)
    await page.get_by_test_id("pay").click()

    await page.wait_for_url(re.compile("/landing"))
    session_id = page.url.partition("session_id=")[2]
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert session.payment_status == "paid"
    assert session.collected_information is not None
    assert session.collected_information.shipping_details is not None
    assert session.collected_information.shipping_details.address.line1 == "1 Main St"
    assert "checkout.session.completed" in inbox.types(), "the redirect waits for the endpoint"


async def test_a_declined_card_is_told_and_another_card_pays(
    page: Page, shop: Shop, inbox: Inbox
) -> None:
    session = shop.session(success_url=inbox.url.replace("/webhook", "/landing"))
    await page.goto(str(session.url))
    await page.get_by_label("Email").fill("jenny@example.com")
    await fill_card(page, "4000 0000 0000 0002")
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_role("alert")).to_have_text("Your card was declined.")

    await fill_card(page)
    await page.get_by_test_id("pay").click()
    await page.wait_for_url(re.compile("/landing"))


@pytest.mark.parametrize(
    ("account", "event_type"),
    [
        ("000123456789", "checkout.session.async_payment_succeeded"),
        ("000222222227", "checkout.session.async_payment_failed"),
    ],
)
async def test_a_bank_debit_ends_later_by_itself_as_the_test_account_says(
    page: Page, shop: Shop, inbox: Inbox, account: str, event_type: str
) -> None:
    session = shop.session(success_url=inbox.url.replace("/webhook", "/landing"))
    await page.goto(str(session.url))
    await page.get_by_label("Email").fill("jenny@example.com")
    await page.get_by_label("US bank account").check()
    await page.get_by_label("Account number").fill(account)
    await page.get_by_test_id("pay").click()
    await page.wait_for_url(re.compile("/landing"))
    [completed] = await inbox.wait_for("checkout.session.completed")
    assert completed.event().data.object["payment_status"] == "unpaid"
    await inbox.wait_for(event_type)


async def test_a_payment_link_leads_to_its_landing_page(
    page: Page, shop: Shop, client: stripe.StripeClient, inbox: Inbox
) -> None:
    landing = inbox.url.replace("/webhook", "/landing?session_id=%7BCHECKOUT_SESSION_ID%7D")
    link = client.v1.payment_links.create(
        {
            "line_items": [{"price": shop.price(), "quantity": 1}],
            "after_completion": {"type": "redirect", "redirect": {"url": landing}},
        }
    )
    await page.goto(link.url + "?prefilled_email=jenny@example.com&client_reference_id=cart-9")
    await fill_card(page)
    await page.get_by_test_id("pay").click()
    await page.wait_for_url(re.compile("/landing"))

    session = client.v1.checkout.sessions.retrieve(page.url.partition("session_id=")[2])
    assert (session.payment_link, session.payment_status) == (link.id, "paid")
    assert session.client_reference_id == "cart-9"
    listed = client.v1.checkout.sessions.list({"payment_link": link.id}).data
    assert [one.id for one in listed] == [session.id]


async def test_a_customer_changes_quantity_code_extras_and_shipping(
    page: Page, shop: Shop, client: stripe.StripeClient, inbox: Inbox
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    client.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "HALF"}
    )
    session = shop.session(
        success_url=inbox.url.replace("/webhook", "/landing"),
        allow_promotion_codes=True,
        customer_email="jenny@example.com",
        line_items=[
            {
                "price": shop.price(1000),
                "quantity": 1,
                "adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 5},
            }
        ],
        optional_items=[{"price": shop.price(400, name="Gift wrap"), "quantity": 1}],
        custom_fields=[
            {"key": "note", "label": {"type": "custom", "custom": "Note"}, "type": "text"}
        ],
        shipping_options=[
            {
                "shipping_rate_data": {
                    "display_name": name,
                    "type": "fixed_amount",
                    "fixed_amount": {"amount": amount, "currency": "usd"},
                }
            }
            for name, amount in (("Post", 0), ("Courier", 700))
        ],
    )
    await page.goto(str(session.url))
    await page.get_by_label("Qty").fill("3")
    await page.get_by_role("button", name="Update").first.click()
    await expect(page.get_by_test_id("total")).to_have_text("$30.00")
    await page.get_by_role("button", name="Add Gift wrap").click()
    await expect(page.get_by_test_id("total")).to_have_text("$34.00")
    await page.get_by_label("Promotion code").fill("half")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_test_id("total")).to_have_text("$17.00")
    await page.get_by_label("Shipping method").select_option(label="Courier: $7.00")
    await page.get_by_role("button", name="Update").last.click()
    await expect(page.get_by_test_id("total")).to_have_text("$24.00")
    await page.get_by_label("Note").fill("by the door")
    await fill_card(page)
    await page.get_by_test_id("pay").click()
    await page.wait_for_url(re.compile("/landing"))

    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    assert paid.line_items is not None
    assert [item.quantity for item in paid.line_items.data] == [3, 1]
    assert paid.amount_total == 2400
    assert paid.custom_fields[0].text is not None
    assert paid.custom_fields[0].text.value == "by the door"


async def test_the_dashboard_settles_refunds_and_resends(
    page: Page, base_url: str, shop: Shop, control: Control, inbox: Inbox
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay", method="bank_debit")
    await page.goto(f"{base_url}/dashboard")
    await page.get_by_role("button", name="settle", exact=True).click()
    await inbox.wait_for("checkout.session.async_payment_succeeded")
    await page.get_by_role("button", name="refund", exact=True).click()
    await inbox.wait_for("charge.refunded")
    await page.get_by_role("link", name="checkout.session.completed").click()
    await page.get_by_role("button", name="resend").click()
    await inbox.wait_for("checkout.session.completed", count=2)
    await expect(page.get_by_text("200 after").first).to_be_visible()


async def test_the_dashboard_refunds_and_disputes_a_part_and_warns_of_fraud(
    page: Page, base_url: str, shop: Shop, control: Control, client: stripe.StripeClient
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay")
    await page.goto(f"{base_url}/dashboard")
    await page.get_by_role("button", name="warn of fraud").click()
    await expect(page.get_by_text("radar.early_fraud_warning.created")).to_be_visible()
    await page.get_by_text("refund a part").click()
    item = client.v1.checkout.sessions.line_items.list(session.id).data[0]
    await expect(page.get_by_text(item.id)).to_be_visible()
    await page.get_by_role("textbox", name="Amount").first.fill("500")
    await page.get_by_label("Metadata line_items").fill(f"{item.id}=1")
    await page.get_by_role("button", name="refund this").click()
    await expect(page.get_by_text("refunded $5.00")).to_be_visible()
    await page.get_by_text("dispute a part").click()
    await page.get_by_role("textbox", name="Amount").last.fill("400")
    await page.get_by_role("button", name="dispute this").click()
    await expect(page.get_by_text("dispute needs_response")).to_be_visible()
    [refund] = client.v1.refunds.list().data
    assert refund.amount == 500
    assert refund.metadata is not None
    assert refund.metadata["line_items"] == f"{item.id}=1"
    [dispute] = client.v1.disputes.list().data
    assert dispute.amount == 400


async def test_an_expired_page_says_so(page: Page, shop: Shop, client: stripe.StripeClient) -> None:
    session = shop.session()
    client.v1.checkout.sessions.expire(session.id)
    await page.goto(str(session.url))
    await expect(page.get_by_role("heading")).to_have_text("Checkout has expired")


MERCHANT_PAGE = """<!doctype html><h1>Our shop</h1><div id="checkout"></div>
<script src="{base_url}/stripe.js"></script>
<script>
(async () => {{
  const stripe = Stripe("pk_test_0123456789");
  const checkout = await stripe.{create}({{
    fetchClientSecret: async () => "{secret}",
    onComplete: () => {{ document.querySelector("h1").textContent = "Completed"; }},
  }});
  checkout.mount("#checkout");
}})();
</script>"""


@pytest.mark.parametrize(
    ("create", "returns"),
    [("initEmbeddedCheckout", True), ("createEmbeddedCheckoutPage", False)],
)
async def test_a_purchase_within_the_merchants_own_page(
    *,
    create: str,
    returns: bool,
    page: Page,
    base_url: str,
    shop: Shop,
    client: stripe.StripeClient,
    inbox: Inbox,
) -> None:
    return_url = inbox.url.replace("/webhook", "/landing") + "?session_id={CHECKOUT_SESSION_ID}"
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "ui_mode": "embedded_page",
            "line_items": [{"price": shop.price(), "quantity": 1}],
            **({"return_url": return_url} if returns else {"redirect_on_completion": "never"}),
        }
    )
    html = MERCHANT_PAGE.format(base_url=base_url, create=create, secret=session.client_secret)

    async def merchant(_request: Request) -> Response:
        return HTMLResponse(html)

    with Server(Starlette(routes=[Route("/", merchant)]), free_port()) as own:
        await page.goto(own.url)
        frame = page.frame_locator("iframe")
        await frame.get_by_label("Email").fill("jenny@example.com")
        await fill_card(frame, "4000 0000 0000 0002")
        await frame.get_by_test_id("pay").click()
        await expect(frame.get_by_role("alert")).to_contain_text("declined")
        await fill_card(frame)
        await frame.get_by_test_id("pay").click()
        if returns:
            await page.wait_for_url(re.compile("/landing"))
            assert page.url.endswith(f"?session_id={session.id}")
        else:
            await expect(page.get_by_role("heading", name="Completed")).to_be_visible()
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


async def test_a_wrong_client_secret_opens_nothing(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = client.v1.checkout.sessions.create(
        {
            "ui_mode": "embedded_page",
            "mode": "payment",
            "return_url": "https://example.com",
            "line_items": [{"price": shop.price(), "quantity": 1}],
        }
    )
    opened = await control.http.get(f"/c/embed/{session.client_secret}")
    assert opened.headers["location"].startswith(f"/c/pay/{session.id}")
    for wrong in (f"{session.id}_secret_x", session.id, "x", shop.session().id):
        assert (await control.http.get(f"/c/embed/{wrong}")).status_code == 404


@pytest.mark.parametrize("width", [1200, 390])
async def test_no_page_is_wider_than_its_window(
    width: int, page: Page, base_url: str, shop: Shop, control: Control
) -> None:
    session = shop.session(shipping_address_collection={"allowed_countries": ["US"]})
    await control.post(f"/sessions/{shop.session().id}/pay", method="bank_debit")
    await page.set_viewport_size({"width": width, "height": 900})
    for url in ("/", "/dashboard", f"/c/pay/{session.id}"):
        await page.goto(base_url + url)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, url
    await page.get_by_test_id("pay").click()
    error = page.get_by_role("alert")
    await expect(error).to_have_text("Your email is required")
    await expect(error).to_be_in_viewport()
