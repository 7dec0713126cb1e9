"""The official CLI must not be able to tell the emulator from Stripe."""

import json
import re
from pathlib import Path

import pytest
import stripe

from .conftest import Control, Inbox, Shop
from .stripe_cli import StripeCli, find_cli

CLI = find_cli()

pytestmark = pytest.mark.skipif(
    CLI is None,
    reason="Stripe's CLI is not there: npm install @stripe/cli, or name it in STRIPE_CLI",
)


@pytest.fixture
def cli(base_url: str, control: Control, tmp_path: Path) -> StripeCli:
    assert control is not None
    return StripeCli(str(CLI), base_url, tmp_path)


@pytest.mark.parametrize(
    "event_type",
    [
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "charge.refunded",
        "charge.captured",
        "charge.dispute.created",
        "charge.dispute.closed",
        "payment_intent.created",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "payment_link.updated",
        "payment_method.detached",
        "price.updated",
        "product.deleted",
        "promotion_code.created",
    ],
)
async def test_trigger_makes_the_event_happen(
    event_type: str, cli: StripeCli, inbox: Inbox
) -> None:
    assert "Trigger succeeded!" in await cli.run("trigger", event_type)
    await inbox.wait_for(event_type)


async def test_fixtures_run_and_pass_values_on(
    cli: StripeCli, tmp_path: Path, client: stripe.StripeClient
) -> None:
    fixture = {
        "_meta": {"template_version": 0},
        "fixtures": [
            {"name": "mug", "path": "/v1/products", "method": "post", "params": {"name": "Mug"}},
            {
                "name": "price",
                "path": "/v1/prices",
                "method": "post",
                "params": {"product": "${mug:id}", "currency": "jpy", "unit_amount": 1200},
            },
        ],
    }
    path = tmp_path / "fixture.json"
    path.write_text(json.dumps(fixture))
    await cli.run("fixtures", str(path))
    price = client.v1.prices.list({"limit": 1, "expand": ["data.product"]}).data[0]
    assert (price.unit_amount, price.currency) == (1200, "jpy")
    assert isinstance(price.product, stripe.Product)
    assert price.product.name == "Mug"


async def test_get_post_and_resource_commands(cli: StripeCli, shop: Shop) -> None:
    posted = await cli.run("post", "/v1/products", "-d", "name=Mug", "-d", "metadata[sku]=M-1")
    product = json.loads(posted[posted.index("{") :])
    assert product["metadata"] == {"sku": "M-1"}
    fetched = await cli.run("get", f"/v1/products/{product['id']}")
    assert json.loads(fetched[fetched.index("{") :])["name"] == "Mug"
    session = shop.session()
    listed = await cli.run("checkout", "sessions", "list", "--limit", "1")
    assert json.loads(listed[listed.index("{") :])["data"][0]["id"] == session.id


async def test_listen_forwards_signed_events_and_tells_the_answers(
    cli: StripeCli, inbox: Inbox, control: Control, client: stripe.StripeClient
) -> None:
    for endpoint in client.v1.webhook_endpoints.list().data:
        client.v1.webhook_endpoints.delete(endpoint.id)
    inbox.statuses = [200, 503]
    async with cli.listening("--forward-to", inbox.url) as listener:
        secret = re.search(r"whsec_\w+", listener.lines[-1])
        assert secret is not None
        product = client.v1.products.create({"name": "Mug"})
        await listener.wait_for_line("[200] POST")
        [received] = inbox.received
        assert received.event(secret[0]).data.object["id"] == product.id

        client.v1.products.update(product.id, {"name": "Cup"})
        await listener.wait_for_line("[503] POST")
        deliveries = await control.settled_deliveries()
        assert [one["state"] for one in deliveries] == ["failed", "succeeded"]
        assert deliveries[0]["attempts"][0]["response"]["status"] == 503

        [event] = client.v1.events.list({"type": "product.created"}).data
        await cli.run("events", "resend", event.id)
        await listener.wait_for_line(f"[{event.id}]")
    again = await inbox.wait_for_any(count=3)
    assert again[2].event(secret[0]).id == event.id


async def test_listen_prints_the_same_secret_every_time(cli: StripeCli) -> None:
    first, second = [
        re.search(r"whsec_\w+", await cli.run("listen", "--print-secret")) for _ in range(2)
    ]
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
