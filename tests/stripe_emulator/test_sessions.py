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
