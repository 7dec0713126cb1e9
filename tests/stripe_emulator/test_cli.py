"""The official CLI must not be able to tell the emulator from Stripe."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest
import stripe

from local.blueprint import EMULATOR_KEY, ROOT
from local.stripe_cli import MISSING, find_cli
from stripe_emulator import EmulatorConfig, create_app

from .conftest import Control, Inbox, Server, Shop, free_port
from .stripe_cli import CliRunner, needs_cli


@pytest.fixture
def cli(base_url: str, control: Control, tmp_path: Path) -> CliRunner:
    assert control is not None
    return CliRunner(base_url, tmp_path)


@needs_cli
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
    event_type: str, cli: CliRunner, inbox: Inbox
) -> None:
    assert "Trigger succeeded!" in await cli.run("trigger", event_type)
    await inbox.wait_for(event_type)


@needs_cli
async def test_fixtures_run_and_pass_values_on(
    cli: CliRunner, tmp_path: Path, client: stripe.StripeClient
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


@needs_cli
async def test_get_post_and_resource_commands(cli: CliRunner, shop: Shop) -> None:
    posted = await cli.run("post", "/v1/products", "-d", "name=Mug", "-d", "metadata[sku]=M-1")
    product = json.loads(posted[posted.index("{") :])
    assert product["metadata"] == {"sku": "M-1"}
    fetched = await cli.run("get", f"/v1/products/{product['id']}")
    assert json.loads(fetched[fetched.index("{") :])["name"] == "Mug"
    session = shop.session()
    listed = await cli.run("checkout", "sessions", "list", "--limit", "1")
    assert json.loads(listed[listed.index("{") :])["data"][0]["id"] == session.id


@needs_cli
async def test_listen_forwards_signed_events_and_tells_the_answers(
    cli: CliRunner, inbox: Inbox, control: Control, client: stripe.StripeClient
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


@needs_cli
async def test_listen_prints_the_same_secret_every_time(cli: CliRunner) -> None:
    first, second = [
        re.search(r"whsec_\w+", await cli.run("listen", "--print-secret")) for _ in range(2)
    ]
    assert first is not None
    assert second is not None
    assert first[0] == second[0]


async def make_stripe(
    *arguments: str, folder: Path, port: int, **environment: str
) -> tuple[int | None, str]:
    """What `make stripe` runs: exit code and everything printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.stripe_cli", *arguments),
        cwd=ROOT,
        env={
            **os.environ,
            "DATA_DIR": str(folder),
            "STRIPE_EMULATOR_PORT": str(port),
            **environment,
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, output.decode()


@needs_cli
async def test_make_stripe_runs_the_cli_against_the_local_stripe(tmp_path: Path) -> None:
    port = free_port()
    with Server(create_app(EmulatorConfig(api_key=EMULATOR_KEY)), port) as server:
        code, output = await make_stripe(
            "trigger", "checkout.session.completed", folder=tmp_path, port=port
        )
        assert code == 0, output
        assert "Trigger succeeded!" in output
        client = stripe.StripeClient(EMULATOR_KEY, base_addresses={"api": server.url})
        [session] = client.v1.checkout.sessions.list({"status": "complete"}).data
        assert session.payment_status == "paid"
        code, output = await make_stripe("trigger", "gift.given", folder=tmp_path, port=port)
        assert code not in {0, None}, output


@needs_cli
async def test_make_stripe_says_when_there_is_no_local_stripe(tmp_path: Path) -> None:
    port = free_port()
    code, output = await make_stripe("trigger", "product.created", folder=tmp_path, port=port)
    assert code == 1
    assert f"No local Stripe answers at http://127.0.0.1:{port}" in output
    assert "Traceback" not in output


async def test_make_stripe_says_how_to_get_the_cli(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "stripe")
    code, output = await make_stripe("version", folder=tmp_path, port=1, STRIPE_CLI=nowhere)
    assert (code, output.strip()) == (1, MISSING)


def test_the_cli_is_the_one_named_before_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {}
    for folder in ("named", "path"):
        program = tmp_path / folder / "stripe"
        program.parent.mkdir()
        program.touch(mode=0o755)
        programs[folder] = program
    monkeypatch.setenv("PATH", str(programs["path"].parent))
    assert find_cli(programs["named"]) == str(programs["named"])
    assert find_cli(None) == str(programs["path"])
    assert find_cli(tmp_path / "gone") is None
