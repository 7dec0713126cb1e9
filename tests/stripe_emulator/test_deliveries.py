"""Webhooks: signed, retried, held, dropped, resent, duplicated."""

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import httpx
import pytest
import stripe

from stripe_emulator import EmulatorConfig
from stripe_emulator.deliveries import RETRY_DELAYS_S
from stripe_emulator.pages.pay import landing_url

from .conftest import SECRET, TIME_SCALE, Control, Inbox, Shop


@pytest.mark.parametrize("status", [500, 400, 302, 404])
async def test_a_delivery_is_tried_again_with_backoff_until_2xx(
    status: int, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    inbox.statuses = [status, status, 204]
    client.v1.products.create({"name": "x"})
    received = await inbox.wait_for("product.created", count=3)

    assert len({one.event().id for one in received}) == 1
    pauses = [b.at - a.at for a, b in pairwise(received)]
    for pause, expected in zip(pauses, RETRY_DELAYS_S, strict=False):
        assert expected / TIME_SCALE <= pause < expected / TIME_SCALE + 0.5
    [delivery] = await control.settled_deliveries()
    event = client.v1.events.retrieve(received[0].event().id)
    assert event.pending_webhooks == 0
    assert [a["response"]["status"] for a in delivery["attempts"]] == [status, status, 204]
    assert delivery["state"] == "succeeded"
    assert json.loads(delivery["request_body"])["id"] == event.id


async def test_each_attempt_is_signed_anew_and_verifies_only_with_its_secret(
    client: stripe.StripeClient, inbox: Inbox
) -> None:
    client.v1.products.create({"name": "x"})
    [received] = await inbox.wait_for("product.created")
    with pytest.raises(stripe.SignatureVerificationError):
        received.event("whsec_other")
    assert abs(int(received.headers["stripe-signature"].split(",")[0][2:]) - time.time()) < 5


async def test_a_rolled_secret_signs_beside_the_old_one_until_the_overlap_ends(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    [endpoint] = client.v1.webhook_endpoints.list().data
    rolled = await control.post(f"/webhook_endpoints/{endpoint.id}/roll_secret", overlap_s=60)
    client.v1.products.create({"name": "x"})
    [received] = await inbox.wait_for("product.created")
    assert received.event(SECRET).id == received.event(rolled["secret"]).id

    again = await control.post(f"/webhook_endpoints/{endpoint.id}/roll_secret", overlap_s=0)
    client.v1.products.create({"name": "y"})
    _, second = await inbox.wait_for_any(count=2)
    assert second.event(again["secret"]).type == "product.created"
    for old in (SECRET, rolled["secret"]):
        with pytest.raises(stripe.SignatureVerificationError):
            second.event(old)


async def test_an_endpoint_gets_the_types_it_is_enabled_for(
    client: stripe.StripeClient, inbox: Inbox
) -> None:
    for endpoint in client.v1.webhook_endpoints.list().data:
        client.v1.webhook_endpoints.delete(endpoint.id)
    made = client.v1.webhook_endpoints.create(
        {
            "url": inbox.url,
            "enabled_events": ["price.created"],
            "api_version": "2025-03-31.basil",
        }
    )
    assert made.secret is not None
    client.v1.prices.create({"currency": "usd", "unit_amount": 1, "product_data": {"name": "x"}})
    [received] = await inbox.wait_for_any()
    event = received.event(made.secret)
    assert (event.type, event.api_version) == ("price.created", "2025-03-31.basil")

    client.v1.webhook_endpoints.update(made.id, {"disabled": True})
    assert client.v1.webhook_endpoints.retrieve(made.id).status == "disabled"
    client.v1.prices.create({"currency": "usd", "unit_amount": 1, "product_data": {"name": "x"}})
    await asyncio.sleep(0.1)
    assert len(inbox.received) == 1


async def test_an_endpoint_of_an_older_version_finds_shipping_where_it_was(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    old = client.v1.webhook_endpoints.create(
        {
            "url": inbox.url,
            "enabled_events": ["checkout.session.completed"],
            "api_version": "2024-06-20",
        }
    )
    session = shop.session(shipping_address_collection={"allowed_countries": ["DE"]})
    await control.post(f"/sessions/{session.id}/pay", name="Jenny")
    await inbox.wait_for_any()
    sent = {
        delivery["target"]: json.loads(delivery["request_body"])["data"]["object"]
        for delivery in await control.settled_deliveries()
        if delivery["type"] == "checkout.session.completed"
    }
    older = sent.pop(old.id)
    [current] = sent.values()
    assert older["shipping_details"] == current["collected_information"]["shipping_details"]
    assert older["shipping_details"]["address"]["country"] == "DE"
    assert "shipping_details" not in current


async def test_events_of_a_connected_account_go_to_connect_endpoints_only(
    client: stripe.StripeClient, inbox: Inbox
) -> None:
    made = client.v1.webhook_endpoints.create(
        {"url": inbox.url, "enabled_events": ["*"], "connect": True}
    )
    client.v1.products.create({"name": "x"}, {"stripe_account": "acct_other"})
    [received] = await inbox.wait_for_any()
    assert received.event(str(made.secret)).account == "acct_other"


async def test_held_deliveries_are_released_in_the_order_asked_for(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    await control.post("/deliveries", mode="hold")
    names = [client.v1.products.create({"name": f"{n}"}).id for n in range(4)]
    await asyncio.sleep(0.1)
    assert inbox.received == []
    assert client.v1.events.list({"delivery_success": False}).data

    released = await control.post("/deliveries", mode="normal", order="newest_first")
    assert released["released"] == 4
    received = await inbox.wait_for("product.created", count=4)
    assert [one.event().data.object["id"] for one in received] == names[::-1]


async def test_dropped_deliveries_never_come_but_can_be_resent(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    await control.post("/deliveries", mode="drop")
    client.v1.products.create({"name": "x"})
    await control.post("/deliveries", mode="normal")
    await asyncio.sleep(0.1)
    assert inbox.received == []
    [event] = client.v1.events.list({"delivery_success": False}).data
    assert event.pending_webhooks == 0
    assert client.v1.events.list({"delivery_success": True}).data == []
    await control.post(f"/events/{event.id}/resend")
    [received] = await inbox.wait_for("product.created")
    assert received.event().id == event.id
    assert "_undelivered" not in json.loads(received.body)
    await control.settled_deliveries()
    assert client.v1.events.list({"delivery_success": False}).data == []
    assert [one.id for one in client.v1.events.list({"delivery_success": True}).data] == [event.id]


async def test_events_that_a_dead_endpoint_missed_are_listed_until_they_are_taken(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    def missed(**params: object) -> list[str]:
        everything: Any = {"delivery_success": False, **params}
        return [event.type for event in client.v1.events.list(everything).data]

    [endpoint] = client.v1.webhook_endpoints.list().data
    client.v1.webhook_endpoints.update(endpoint.id, {"url": "http://127.0.0.1:9/webhook"})
    client.v1.products.create({"name": "x"})
    moved = await control.post("/clock", advance_s=3600)
    client.v1.customers.create({})
    assert missed() == ["customer.created", "product.created"]
    assert missed(types=["product.created", "product.updated"]) == ["product.created"]
    assert missed(created={"gte": moved["now"]}) == ["customer.created"]
    assert missed(created={"gte": moved["now"]}, types=["product.created"]) == []
    assert client.v1.events.list({"delivery_success": True}).data == []

    # After the last attempt too: whoever looks later must find what never came.
    deadline = time.monotonic() + 20
    while {delivery["state"] for delivery in await control.deliveries()} != {"failed"}:
        assert time.monotonic() < deadline, "deliveries are still tried"
        await control.post("/clock", advance_s=86_400)
        await asyncio.sleep(0.05)
    assert missed() == ["customer.created", "product.created"]

    client.v1.webhook_endpoints.update(endpoint.id, {"url": inbox.url})
    for event in client.v1.events.list({"delivery_success": False}).data:
        await control.post(f"/events/{event.id}/resend")
    await inbox.wait_for_any(count=2)
    await control.settled_deliveries()
    assert missed() == []


async def test_a_duplicate_is_another_event_about_the_same_change(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    client.v1.products.create({"name": "x"})
    [first] = await inbox.wait_for("product.created")
    await control.post(f"/events/{first.event().id}/duplicate")
    _, second = await inbox.wait_for("product.created", count=2)
    assert second.event().id != first.event().id
    assert second.event().data.object == first.event().data.object


async def test_the_redirect_waits_for_a_slow_endpoint(shop: Shop, inbox: Inbox) -> None:
    session = shop.session(success_url=inbox.url.replace("/webhook", "/landing"))
    await asyncio.sleep(0.1)
    inbox.delay_s = 0.7
    form = {
        "action": "pay",
        "method": "card",
        "email": "a@example.com",
        "card_number": "4242424242424242",
        "expiry": "12/34",
    }
    started = time.monotonic()
    async with httpx.AsyncClient(timeout=15) as http:
        paid = await http.post(str(session.url), data=form)
    assert paid.status_code == 303
    assert 0.7 <= time.monotonic() - started < 3


@pytest.mark.parametrize(
    "placeholder",
    ["{CHECKOUT_SESSION_ID}", "%7BCHECKOUT_SESSION_ID%7D", "%7bCHECKOUT_SESSION_ID%7d"],
)
def test_the_landing_url_holds_the_session_id(placeholder: str) -> None:
    landing = landing_url(f"https://example.com/?a=1&session_id={placeholder}", "cs_test_1")
    assert landing == "https://example.com/?a=1&session_id=cs_test_1"


@pytest.mark.parametrize(
    "wrong",
    [{"api_key": "sk_live_1"}, {"webhook_secret": "secret"}, {"time_scale": 0}],
)
def test_settings_that_could_not_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        EmulatorConfig(**wrong)  # type: ignore[arg-type]
