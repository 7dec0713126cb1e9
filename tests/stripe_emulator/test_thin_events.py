"""Thin events: destinations of API v2, deliveries, and what the SDK fetches afterwards."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import stripe
from stripe.events import V1CheckoutSessionCompletedEventNotification

from .conftest import API_KEY, Control, Inbox, Received, Shop
from .sdk_schema import validate

SECRET_TOO = ["webhook_endpoint.signing_secret", "webhook_endpoint.url"]


def destination(client: stripe.StripeClient, inbox: Inbox, **params: Any) -> Any:
    """The only destination from now on: without the endpoint that takes everything."""
    for endpoint in client.v1.webhook_endpoints.list().data:
        client.v1.webhook_endpoints.delete(endpoint.id)
    everything: Any = {
        "name": "Fulfillment",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["*"],
        "webhook_endpoint": {"url": inbox.url},
        "include": SECRET_TOO,
        **params,
    }
    return client.v2.core.event_destinations.create(everything)


def read(client: stripe.StripeClient, received: Received, made: Any) -> Any:
    return client.parse_event_notification(
        received.body, received.headers["stripe-signature"], made.webhook_endpoint.signing_secret
    )


async def test_a_paid_session_is_told_of_without_the_session(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    made = destination(client, inbox, enabled_events=["v1.checkout.session.completed"])
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay")
    [received] = await inbox.wait_for_any()
    body = json.loads(received.body)
    validate({**body, "changes": None})
    assert set(body) == {
        "id", "object", "type", "livemode", "created", "context", "related_object", "reason",
        "snapshot_event",
    }  # fmt: skip

    told = read(client, received, made)
    assert isinstance(told, V1CheckoutSessionCompletedEventNotification)
    assert (told.related_object.id, told.context) == (session.id, None)
    assert told.fetch_related_object().payment_status == "paid"
    fetched = told.fetch_event()
    assert (fetched.id, fetched.type) == (told.id, "v1.checkout.session.completed")
    assert fetched.fetch_related_object().id == session.id
    snapshot = client.v1.events.retrieve(str(fetched.snapshot_event))
    assert snapshot.type == "checkout.session.completed"
    with pytest.raises(stripe.SignatureVerificationError):
        client.parse_event_notification(
            received.body, received.headers["stripe-signature"], "whsec_other"
        )


async def test_every_outcome_of_a_session_is_told(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    prefix = "v1.checkout.session."
    outcomes = ["async_payment_failed", "async_payment_succeeded", "completed", "expired"]
    made = destination(client, inbox, enabled_events=[prefix + name for name in outcomes])
    paid, gone = shop.session(), shop.session()
    await control.post(f"/sessions/{paid.id}/pay", method="bank_debit")
    await control.post(f"/sessions/{paid.id}/fail")
    await control.post(f"/sessions/{paid.id}/settle")
    client.v1.checkout.sessions.expire(gone.id)
    received = await inbox.wait_for_any(count=4)
    told = [read(client, one, made) for one in received]
    assert sorted(one.type for one in told) == [prefix + name for name in outcomes]
    [expired] = [one for one in told if one.type.endswith("expired")]
    assert expired.reason.request.id.startswith("req_")


async def test_events_of_connected_accounts_carry_their_context(
    client: stripe.StripeClient, inbox: Inbox
) -> None:
    made = destination(client, inbox, events_from=["@accounts"])
    assert made.events_from == ["@accounts"]
    client.v1.products.create({"name": "own"})
    product = client.v1.products.create({"name": "theirs"}, {"stripe_account": "acct_seller"})
    [received] = await inbox.wait_for_any()
    told = read(client, received, made)
    assert str(told.context) == "acct_seller"
    assert told.fetch_related_object().id == product.id
    assert told.fetch_event().context == "acct_seller"
    with pytest.raises(stripe.InvalidRequestError):
        client.v2.core.events.retrieve(told.id)


async def test_a_destination_of_snapshots_takes_what_an_endpoint_takes(
    client: stripe.StripeClient, inbox: Inbox
) -> None:
    made = destination(
        client,
        inbox,
        event_payload="snapshot",
        enabled_events=["product.created"],
        events_from=["self", "other_accounts"],
        snapshot_api_version="2025-03-31.basil",
    )
    client.v1.products.create({"name": "x"})
    [received] = await inbox.wait_for_any()
    event = received.event(made.webhook_endpoint.signing_secret)
    assert (event.type, event.api_version) == ("product.created", "2025-03-31.basil")


async def test_a_thin_delivery_is_tried_again_and_counts_as_any_other(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    made = destination(client, inbox)
    inbox.statuses = [500]
    await control.post("/deliveries", mode="hold")
    product = client.v1.products.create({"name": "x"})
    assert len(client.v1.events.list({"delivery_success": False}).data) == 1
    await control.post("/deliveries", mode="normal")
    first, second = await inbox.wait_for_any(count=2)
    assert read(client, first, made).id == read(client, second, made).id
    [delivery] = await control.settled_deliveries()
    assert (delivery["object"], delivery["target"]) == (product.id, made.id)
    assert client.v1.events.list({"delivery_success": False}).data == []


async def test_a_destination_is_read_changed_switched_pinged_and_deleted(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    destinations = client.v2.core.event_destinations
    made = destination(client, inbox, metadata={"a": "1", "b": "2"})
    read_back = destinations.retrieve(made.id)
    assert read_back.webhook_endpoint is not None
    assert read_back.webhook_endpoint.url is None
    changed = destinations.update(
        made.id,
        {
            "name": "Other",
            "enabled_events": ["v1.product.created"],
            "metadata": {"a": None},
            "include": ["webhook_endpoint.url"],
        },
    )
    assert (changed.name, changed.enabled_events) == ("Other", ["v1.product.created"])
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"b": "2"}
    assert changed.webhook_endpoint is not None
    assert (changed.webhook_endpoint.url, changed.webhook_endpoint.signing_secret) == (
        inbox.url,
        None,
    )

    assert destinations.disable(made.id).status == "disabled"
    client.v1.products.create({"name": "x"})
    await asyncio.sleep(0.1)
    assert inbox.received == []
    assert destinations.enable(made.id).status == "enabled"
    ping = destinations.ping(made.id)
    [received] = await inbox.wait_for_any()
    told = read(client, received, made)
    assert (told.id, told.type) == (ping.id, "v2.core.event_destination.ping")
    assert told.fetch_related_object().id == made.id
    assert told.fetch_event().id == ping.id
    assert (await control.http.get("/dashboard")).status_code == 200

    rolled = await control.post(f"/webhook_endpoints/{made.id}/roll_secret")
    client.v1.products.create({"name": "y"})
    _, second = await inbox.wait_for_any(count=2)
    signature = second.headers["stripe-signature"]
    told = client.parse_event_notification(second.body, signature, rolled["secret"])
    assert told.type == "v1.product.created"

    assert destinations.delete(made.id).id == made.id
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        destinations.retrieve(made.id)


def test_thin_events_are_listed_over_pages_and_filters(
    client: stripe.StripeClient, inbox: Inbox, base_url: str
) -> None:
    assert inbox is not None
    products = [client.v1.products.create({"name": f"{n}"}) for n in range(5)]
    client.v1.customers.create({})
    created = {"types": ["v1.product.created"], "limit": 2}
    pages = client.v2.core.events.list(created)  # type: ignore[arg-type]
    listed: Any = list(pages.auto_paging_iter())
    assert [one.related_object.id for one in listed] == [one.id for one in products[::-1]]
    [about] = client.v2.core.events.list({"object_id": products[0].id}).data
    assert about.id == listed[-1].id
    assert client.v2.core.events.list({"created": {"gt": "2999-01-01T00:00:00Z"}}).data == []
    since = client.v2.core.events.list({"created": {"gte": listed[-1].created}})
    assert len(since.data) == 6
    answer = httpx.get(f"{base_url}/v2/core/events", auth=(API_KEY, "")).json()
    assert set(answer) == {"data", "next_page_url", "previous_page_url"}
    for event in answer["data"]:
        validate(event)


def test_destinations_are_listed_over_pages(client: stripe.StripeClient, inbox: Inbox) -> None:
    made = [destination(client, inbox).id for _ in range(3)]
    pages = client.v2.core.event_destinations.list(
        {"limit": 1, "include": ["webhook_endpoint.url"]}
    )
    listed: Any = list(pages.auto_paging_iter())
    assert [one.id for one in listed] == made[::-1]
    assert {one.webhook_endpoint.url for one in listed} == {inbox.url}
    for one in listed:
        validate(one.to_dict())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"enabled_events": ["checkout.session.completed"]}, "there is no thin event"),
        ({"event_payload": "snapshot", "enabled_events": ["v1.price.created"]}, "a thin event"),
        ({"events_from": ["@organization_members"]}, "events_from"),
        ({"type": "amazon_eventbridge"}, "webhook endpoints only"),
        ({"snapshot_api_version": "2025-03-31.basil"}, "no API version"),
        ({"webhook_endpoint": {"url": "example.com"}}, "Invalid URL"),
        ({"color": "red"}, "unknown parameter"),
        ({"name": None}, "empty string"),
    ],
)
def test_what_cannot_be_delivered_is_refused(
    params: Any, message: str, client: stripe.StripeClient, inbox: Inbox
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message):
        destination(client, inbox, **params)


@pytest.mark.parametrize(
    ("path", "content", "kind", "message"),
    [
        ("event_destinations", "name=x", "application/x-www-form-urlencoded", "content type"),
        ("event_destinations", "[]", "application/json", "JSON object"),
        ("event_destinations", "{", "application/json", "JSON object"),
    ],
)
def test_bodies_are_json(path: str, content: str, kind: str, message: str, base_url: str) -> None:
    answer = httpx.post(
        f"{base_url}/v2/core/{path}",
        content=content,
        headers={"Content-Type": kind, "Authorization": f"Bearer {API_KEY}"},
    )
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "query", ["page=nonsense", "limit=101", "created[gt]=yesterday", "starting_after=evt_1"]
)
def test_lists_refuse_what_they_cannot_read(query: str, base_url: str) -> None:
    answer = httpx.get(f"{base_url}/v2/core/events?{query}", auth=(API_KEY, ""))
    assert answer.status_code == 400
