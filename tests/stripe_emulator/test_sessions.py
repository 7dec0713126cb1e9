from typing import Any

import httpx
import pytest
import stripe

from .conftest import Control, Inbox, Shop


def test_a_session_is_created_open_with_a_pay_page(shop: Shop) -> None:
    session = shop.session(metadata={"order": "7"}, client_reference_id="cart-7")

    assert session.id.startswith("cs_test_a1")
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert (session.amount_subtotal, session.amount_total) == (4000, 4000)
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"order": "7"}
    assert session.client_reference_id == "cart-7"
    assert session.payment_intent is None
    assert httpx.get(str(session.url)).status_code == 200


def test_expanded_line_items_are_the_first_ten_and_the_list_pages_over_all(
    shop: Shop, client: stripe.StripeClient
) -> None:
    items = [
        {
            "price_data": {
                "currency": "usd",
                "unit_amount": 100 + n,
                "product_data": {"name": f"Item {n}"},
            },
            "quantity": 1,
        }
        for n in range(25)
    ]
    session = shop.session(line_items=items)

    expanded = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["line_items.data.price.product"]}
    ).line_items
    assert expanded is not None
    assert len(expanded.data) == 10
    assert expanded.has_more
    price = expanded.data[0].price
    assert price is not None
    assert isinstance(price.product, stripe.Product)
    assert price.product.name == "Item 0"

    pages = client.v1.checkout.sessions.line_items.list(session.id, {"limit": 7})
    names = [item.description for item in pages.auto_paging_iter()]
    assert names == [f"Item {n}" for n in range(25)]


def test_line_items_are_not_in_the_answer_unless_expanded(
    shop: Shop, client: stripe.StripeClient
) -> None:
    session = client.v1.checkout.sessions.retrieve(shop.session().id)
    assert "line_items" not in session.to_dict()


async def test_paying_by_card_completes_the_session_and_tells_the_endpoint(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay", method="card", email="a@example.com")

    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details is not None
    assert paid.customer_details.email == "a@example.com"
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    assert paid.payment_intent.amount_received == 4000
    [received] = await inbox.wait_for("checkout.session.completed")
    event = received.event()
    assert event.data.object["id"] == session.id
    assert "line_items" not in event.data.object
    assert received.headers["user-agent"].startswith("Stripe/1.0")


@pytest.mark.parametrize(
    ("end", "event_type", "payment_status", "intent_status"),
    [
        ("settle", "checkout.session.async_payment_succeeded", "paid", "succeeded"),
        ("fail", "checkout.session.async_payment_failed", "unpaid", "requires_payment_method"),
    ],
)
async def test_a_bank_debit_completes_unpaid_and_ends_later(
    *,
    end: str,
    event_type: str,
    payment_status: str,
    intent_status: str,
    shop: Shop,
    client: stripe.StripeClient,
    control: Control,
    inbox: Inbox,
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay", method="bank_debit")
    [completed] = await inbox.wait_for("checkout.session.completed")
    assert completed.event().data.object["payment_status"] == "unpaid"

    await control.post(f"/sessions/{session.id}/{end}")

    [told] = await inbox.wait_for(event_type)
    assert told.event().data.object["payment_status"] == payment_status
    now = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert now.payment_status == payment_status
    assert isinstance(now.payment_intent, stripe.PaymentIntent)
    assert now.payment_intent.status == intent_status


async def failed_debit(shop: Shop, control: Control) -> tuple[str, str]:
    """A session whose bank debit came back, and its PaymentIntent."""
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay", method="bank_debit")
    failed = (await control.post(f"/sessions/{session.id}/fail"))["session"]
    assert (failed["status"], failed["payment_status"]) == ("complete", "unpaid")
    return session.id, failed["payment_intent"]


async def test_a_card_pays_after_a_bank_debit_came_back(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    session_id, intent_id = await failed_debit(shop, control)
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_chargeDeclined"})
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "unpaid"

    paid = client.v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    [told] = await inbox.wait_for("checkout.session.async_payment_succeeded")
    assert told.event().data.object["id"] == session_id
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid"
    # Deliveries overtake each other: the earlier event may come last.
    assert len(await inbox.wait_for("checkout.session.async_payment_failed")) == 1


@pytest.mark.parametrize(
    ("number", "event_type", "status"),
    [
        ("000123456789", "checkout.session.async_payment_succeeded", "paid"),
        ("000222222227", "checkout.session.async_payment_failed", "unpaid"),
    ],
)
async def test_a_second_bank_debit_ends_on_its_own(
    *,
    number: str,
    event_type: str,
    status: str,
    shop: Shop,
    client: stripe.StripeClient,
    control: Control,
    inbox: Inbox,
) -> None:
    session_id, intent_id = await failed_debit(shop, control)
    await inbox.wait_for("checkout.session.async_payment_failed")
    inbox.received.clear()
    account: Any = {"type": "us_bank_account", "us_bank_account": {"account_number": number}}
    under_way = client.v1.payment_intents.confirm(intent_id, {"payment_method_data": account})
    assert under_way.status == "processing"
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "unpaid"
    [told] = await inbox.wait_for(event_type)
    assert told.event().data.object["payment_status"] == status


async def test_a_later_attempt_is_settled_or_failed_by_hand(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    session_id, intent_id = await failed_debit(shop, control)
    await control.post(f"/sessions/{session_id}/fail")
    await inbox.wait_for("checkout.session.async_payment_failed", count=2)
    await control.post(f"/sessions/{session_id}/settle")
    await inbox.wait_for("checkout.session.async_payment_succeeded")
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid"
    charges = client.v1.charges.list({"payment_intent": intent_id}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed", "failed"]
    for end in ("settle", "fail"):
        refused = await control.http.post(f"/_emulator/sessions/{session_id}/{end}")
        assert refused.status_code == 400


async def test_the_scheduled_end_of_one_attempt_is_not_that_of_the_next(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = shop.session()
    fails = {"method": "bank_debit", "number": "000222222227"}
    await control.post(f"/sessions/{session.id}/pay", **fails)
    failed = (await control.post(f"/sessions/{session.id}/fail"))["session"]
    account: Any = {"type": "us_bank_account", "us_bank_account": {"account_number": "1"}}
    client.v1.payment_intents.confirm(failed["payment_intent"], {"payment_method_data": account})
    await control.post("/clock", advance_s=60)
    assert client.v1.payment_intents.retrieve(failed["payment_intent"]).status == "processing"


async def test_a_declined_card_leaves_the_session_open_for_another_try(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = shop.session()
    declined = await control.http.post(
        f"/_emulator/sessions/{session.id}/pay", json={"number": "4000000000000002"}
    )
    assert declined.status_code == 402
    assert declined.json()["error"]["code"] == "card_declined"
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"

    await control.post(f"/sessions/{session.id}/pay")
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert paid.payment_status == "paid"
    intents = client.v1.payment_intents.list().data
    assert [intent.id for intent in intents] == [paid.payment_intent]


async def test_an_expired_session_cannot_be_paid(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    session = shop.session()
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    await inbox.wait_for("checkout.session.expired")
    refused = await control.http.post(f"/_emulator/sessions/{session.id}/pay", json={})
    assert refused.status_code == 400
    with pytest.raises(stripe.InvalidRequestError, match="Only Checkout Sessions with a status"):
        client.v1.checkout.sessions.expire(session.id)


async def test_sessions_are_listed_by_intent_status_and_time(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    first, second = shop.session(), shop.session()
    await control.post(f"/sessions/{first.id}/pay")
    paid = client.v1.checkout.sessions.retrieve(first.id)

    def ids(**params: object) -> list[str]:
        return [s.id for s in client.v1.checkout.sessions.list(params).data]  # type: ignore[arg-type]

    assert ids() == [second.id, first.id]
    assert ids(payment_intent=paid.payment_intent) == [first.id]
    assert ids(status="open") == [second.id]
    assert ids(created={"gt": paid.created + 60}) == []
    assert ids(limit=1, starting_after=second.id) == [first.id]
    assert ids(limit=1, ending_before=first.id) == [second.id]


async def test_shipping_is_collected_where_new_versions_keep_it(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = shop.session(shipping_address_collection={"allowed_countries": ["US"]})
    await control.post(
        f"/sessions/{session.id}/pay",
        name="Jenny Rosen",
        address={"line1": "1 Main St", "city": "Springfield", "country": "US"},
    )
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert paid.collected_information is not None
    shipping = paid.collected_information.shipping_details
    assert shipping is not None
    assert (shipping.name, shipping.address.line1) == ("Jenny Rosen", "1 Main St")
    assert "shipping_details" not in paid.to_dict()


async def test_purchases_are_made_in_bulk(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    made = await control.post(
        "/purchases", count=12, line_items=[{"price": shop.price(), "quantity": 1}], deliver=False
    )
    assert len(set(made["sessions"])) == 12
    sessions = client.v1.checkout.sessions.list({"limit": 100}).data
    assert {s.id for s in sessions if s.payment_status == "paid"} == set(made["sessions"])
    assert not [t for t in inbox.types() if t == "checkout.session.completed"]


async def test_a_coupon_and_a_link_end_when_they_are_used_up(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    coupon = client.v1.coupons.create(
        {"amount_off": 500, "currency": "usd", "duration": "once", "max_redemptions": 1}
    )
    session = shop.session(discounts=[{"coupon": coupon.id}])
    assert (session.amount_subtotal, session.amount_total) == (4000, 3500)
    await control.post(f"/sessions/{session.id}/pay")
    used = client.v1.coupons.retrieve(coupon.id)
    assert (used.times_redeemed, used.valid) == (1, False)
    with pytest.raises(stripe.InvalidRequestError, match="Coupon expired"):
        shop.session(discounts=[{"coupon": coupon.id}])

    link = client.v1.payment_links.create(
        {
            "line_items": [{"price": shop.price(), "quantity": 1}],
            "restrictions": {"completed_sessions": {"limit": 1}},
            "inactive_message": "Sold out",
        }
    )
    visit = await control.http.get(link.url)
    await control.post(f"/sessions/{visit.headers['location'].rpartition('/')[2]}/pay")
    assert client.v1.payment_links.retrieve(link.id).active is False
    assert "Sold out" in (await control.http.get(link.url)).text


async def test_a_discount_to_nothing_needs_no_payment(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 100, "duration": "once"})
    session = shop.session(discounts=[{"coupon": coupon.id}])
    paid = (await control.post(f"/sessions/{session.id}/pay"))["session"]
    assert (paid["status"], paid["payment_status"]) == ("complete", "no_payment_required")
    assert paid["payment_intent"] is None


@pytest.mark.parametrize(
    ("expiry", "message"),
    [("13/30", "month is invalid"), ("01/20", "in the past"), ("", "incomplete")],
)
async def test_a_wrong_expiry_date_is_told_on_the_page(
    expiry: str, message: str, shop: Shop, control: Control
) -> None:
    session = shop.session(customer_email="a@example.com")
    form = {"action": "pay", "card_number": "4242424242424242", "expiry": expiry}
    page = await control.http.post(str(session.url), data=form)
    assert page.status_code == 402
    assert message in page.text


async def test_nothing_to_pay_needs_no_card_on_the_page(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = shop.session(
        line_items=[{"price": shop.price(0), "quantity": 1}], customer_email="a@example.com"
    )
    assert "Card number" not in (await control.http.get(str(session.url))).text
    done = await control.http.post(str(session.url), data={"action": "pay"})
    assert done.status_code == 303
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert paid.payment_status == "no_payment_required"
    assert client.v1.payment_methods.list().data == []


def test_a_discount_is_spread_over_the_items_to_the_last_cent(shop: Shop) -> None:
    client = shop.client
    coupon = client.v1.coupons.create({"amount_off": 100, "currency": "usd", "duration": "once"})
    session = shop.session(
        line_items=[{"price": shop.price(333), "quantity": 1} for _ in range(3)],
        discounts=[{"coupon": coupon.id}],
        expand=["line_items"],
    )
    assert session.line_items is not None
    assert [item.amount_discount for item in session.line_items.data] == [34, 33, 33]
    assert session.amount_total == sum(item.amount_total for item in session.line_items.data) == 899


@pytest.mark.parametrize(
    ("tax_behavior", "total", "tax"), [("exclusive", 1100, 100), ("inclusive", 1000, 90)]
)
def test_the_stub_tax_is_on_top_or_within(
    tax_behavior: str, total: int, tax: int, shop: Shop
) -> None:
    session = shop.session(
        automatic_tax={"enabled": True},
        line_items=[
            {
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 1000,
                    "tax_behavior": tax_behavior,
                    "product_data": {"name": "x"},
                },
                "quantity": 1,
            }
        ],
    )
    assert session.total_details is not None
    assert (session.amount_total, session.total_details.amount_tax) == (total, tax)


async def test_what_a_buyer_in_another_currency_saw_is_kept(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = shop.session()
    seen = {"amount": 3700, "currency": "eur"}
    await control.post(f"/sessions/{session.id}/pay", presentment=seen)
    details = client.v1.checkout.sessions.retrieve(session.id).presentment_details
    assert details is not None
    assert (details.presentment_amount, details.presentment_currency) == (3700, "eur")


def test_an_embedded_session_returns_to_its_return_url(
    shop: Shop, client: stripe.StripeClient, base_url: str
) -> None:
    everything: dict[str, object] = {
        "ui_mode": "embedded_page",
        "return_url": "https://example.com/return?session_id={CHECKOUT_SESSION_ID}",
        "line_items": [{"price": shop.price(), "quantity": 1}],
        "mode": "payment",
    }
    session = client.v1.checkout.sessions.create(everything)  # type: ignore[arg-type]
    assert session.url is None
    assert session.client_secret is not None
    form = {
        "action": "pay",
        "email": "a@example.com",
        "card_number": "4242424242424242",
        "expiry": "1/30",
    }
    paid = httpx.post(f"{base_url}/c/pay/{session.id}", data=form, timeout=15)
    assert paid.headers["location"] == f"https://example.com/return?session_id={session.id}"


def test_metadata_of_a_session_changes_and_other_changes_are_refused(
    shop: Shop, client: stripe.StripeClient
) -> None:
    session = shop.session(metadata={"a": "1"})
    changed = client.v1.checkout.sessions.update(session.id, {"metadata": {"b": "2"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"a": "1", "b": "2"}
    with pytest.raises(stripe.InvalidRequestError, match="cannot change"):
        client.v1.checkout.sessions.update(
            session.id, {"shipping_options": [{"shipping_rate": "shr_1"}]}
        )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"line_items": []}, "line_items"),
        ({"success_url": "example.com"}, "Not a valid URL"),
        ({"expires_at": 1}, "at least 30 minutes"),
        ({"mode": "subscription"}, "at least one recurring price"),
        ({"ui_mode": "embedded_page"}, "can't be used"),
    ],
)
def test_contradicting_parameters_are_refused(
    params: dict[str, object], message: str, shop: Shop
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message):
        shop.session(**params)
