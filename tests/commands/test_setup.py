"""`fulfillment setup`, run as a program against the emulator."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.stripe_api import API_VERSION
from api.app import create_app
from api.events import handled_events
from local.ports import free_port
from settings import Settings
from tests.commands.programs import Ended, environment, run, run_command
from tests.harness.serving import serving
from tests.harness.shop import MANUAL, shipment
from tests.harness.world import World, eventually

SECRETS_LINE = re.compile(r"^STRIPE_WEBHOOK_SECRETS=(\S+)$", re.MULTILINE)


async def _setup(world: World, folder: Path, *arguments: str, **variables: str) -> Ended:
    return await run_command(
        folder, {**environment(world.settings), **variables}, "setup", *arguments
    )


async def _endpoints(world: World, url: str = "") -> list[dict[str, Any]]:
    """The webhook endpoints at Stripe that have a URL, by default the world's API's."""
    page = await world.shop.stripe.v1.webhook_endpoints.list_async()
    wanted = f"{url or world.settings.public_url}/webhook"
    return [each.to_dict() for each in page.data if each.url == wanted]


@asynccontextmanager
async def _api_with(world: World, public_url: str, secrets: str) -> AsyncIterator[None]:
    """A second API, which knows these signing secrets only."""
    changed = {"public_url": public_url, "stripe_webhook_secrets": secrets}
    settings = Settings.model_validate({**world.settings.model_dump(), **changed})
    async with serving({int(public_url.rpartition(":")[2]): create_app(settings)}):
        yield


async def test_a_new_endpoint_sends_what_the_printed_secret_verifies(
    world: World, tmp_path: Path
) -> None:
    public_url = f"http://127.0.0.1:{free_port()}"
    done = await _setup(world, tmp_path, PUBLIC_URL=public_url)
    assert (done.code, done.err) == (0, "")
    [endpoint] = await _endpoints(world, public_url)
    assert endpoint["enabled_events"] == list(handled_events())
    assert endpoint["api_version"] == API_VERSION
    assert endpoint["metadata"] == {"fulfillment": "own"}
    [secrets] = SECRETS_LINE.findall(done.out)
    known = environment(world.settings)["STRIPE_WEBHOOK_SECRETS"]
    assert secrets.startswith(f"{known},whsec_")

    only_the_new_one = secrets.removeprefix(f"{known},")
    async with _api_with(world, public_url, only_the_new_one):
        await world.shop.buy(MANUAL)

        async def accepted() -> list[int] | None:
            answers = [
                attempt["response"]["status"]
                for delivery in await world.shop.delivered()
                if delivery["target"] == endpoint["id"]
                for attempt in delivery["attempts"]
            ]
            return answers or None

        assert await eventually(accepted) == [200]


async def test_a_second_run_changes_nothing_and_tells_no_secret(
    world: World, tmp_path: Path
) -> None:
    public_url = f"http://127.0.0.1:{free_port()}"
    await _setup(world, tmp_path, "--connect", PUBLIC_URL=public_url)
    before = await _endpoints(world, public_url)
    again = await _setup(world, tmp_path, "--connect", PUBLIC_URL=public_url)
    assert again.code == 0
    assert again.out.count("is right already, nothing changed") == 2
    assert "whsec_" not in again.out
    assert await _endpoints(world, public_url) == before


async def test_wrong_events_are_mended_and_a_disabled_endpoint_enabled(
    world: World, tmp_path: Path
) -> None:
    [endpoint] = await _endpoints(world)
    events: Any = [
        "checkout.session.completed",
        "product.created",
        "customer.created",
    ]
    await world.shop.stripe.v1.webhook_endpoints.update_async(
        endpoint["id"], {"enabled_events": events, "disabled": True}
    )
    done = await _setup(world, tmp_path)
    assert done.code == 0
    assert f"{endpoint['id']} mended" in done.out
    assert "enabled again" in done.out
    assert "checkout.session.async_payment_failed" in done.out
    assert "customer.created" in done.out
    [mended] = await _endpoints(world)
    assert (mended["status"], mended["enabled_events"]) == ("enabled", list(handled_events()))


async def test_a_connect_endpoint_stands_beside_our_own(world: World, tmp_path: Path) -> None:
    wanted = {"STRIPE_CONNECT_ACCOUNTS": "*"}
    first = await _setup(world, tmp_path, **wanted)
    assert "--connect registers an endpoint for them" in first.out
    done = await _setup(world, tmp_path, "--connect", **wanted)
    assert done.code == 0
    assert "Connect endpoint we_" in done.out
    connect, own = await _endpoints(world)
    assert connect["metadata"] == {"fulfillment": "connect"}
    assert own["metadata"] == {}
    assert f"whether {own['id']}" in done.out


async def test_several_endpoints_at_one_url_are_named(world: World, tmp_path: Path) -> None:
    url = f"{world.settings.public_url}/webhook"
    await world.shop.stripe.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["*"]})
    done = await _setup(world, tmp_path)
    other = (await _endpoints(world))[1]
    assert done.code == 0
    assert f"{other['id']} has the same URL" in done.out


async def test_an_endpoint_whose_secret_is_not_known_is_told_of(
    world: World, tmp_path: Path
) -> None:
    done = await _setup(world, tmp_path, STRIPE_WEBHOOK_SECRETS="")
    assert done.code == 0
    assert "reveal the endpoint's signing secret" in done.out


async def test_a_payment_link_leads_to_the_landing_page_and_is_made_once(
    world: World, tmp_path: Path
) -> None:
    price = await world.shop.price(MANUAL, name="A call")
    arguments = ("--payment-link", price, "--quantity", "2")
    first = await _setup(world, tmp_path, *arguments)
    assert first.code == 0
    assert "Payment Link for 2 of A call created" in first.out
    [link] = (
        await world.shop.stripe.v1.payment_links.list_async({"expand": ["data.line_items"]})
    ).data
    assert first.out.splitlines()[-1] == link.url
    redirect = link.after_completion.redirect
    assert redirect is not None
    assert redirect.url == (
        f"{world.settings.public_url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"
    )
    assert link.line_items is not None
    assert link.line_items.data[0].quantity == 2

    second = await _setup(world, tmp_path, *arguments)
    assert "is there already" in second.out
    assert second.out.splitlines()[-1] == link.url
    other = await _setup(world, tmp_path, "--payment-link", price)
    assert "Payment Link for 1 of A call created" in other.out


async def test_a_link_for_something_shipped_asks_for_the_address(
    world: World, tmp_path: Path
) -> None:
    price = await world.shop.price(shipment("MUG"), name="Mug")
    refused = await _setup(world, tmp_path, "--payment-link", price)
    assert refused.code == 1
    assert "Mug is shipped" in refused.err
    assert "--ship-to US,DE" in refused.err
    done = await _setup(world, tmp_path, "--payment-link", price, "--ship-to", "us,DE")
    assert done.code == 0
    [link] = (await world.shop.stripe.v1.payment_links.list_async()).data
    collected = link.shipping_address_collection
    assert collected is not None
    assert collected.allowed_countries == ["US", "DE"]
    elsewhere = await _setup(world, tmp_path, "--payment-link", price, "--ship-to", "JP")
    assert "created" in elsewhere.out


async def test_the_catalog_says_where_parcels_may_go(world: World, tmp_path: Path) -> None:
    price = await world.shop.price(shipment("MUG"))
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[checkout]\nshipping_countries = ["JP"]\n')
    done = await _setup(world, tmp_path, "--payment-link", price, CATALOG_FILE=str(catalog))
    assert (done.code, done.err) == (0, "")
    [link] = (await world.shop.stripe.v1.payment_links.list_async()).data
    collected = link.shipping_address_collection
    assert collected is not None
    assert collected.allowed_countries == ["JP"]


async def test_a_link_for_an_undescribed_product_is_warned_of(world: World, tmp_path: Path) -> None:
    price = await world.shop.price({}, name="Mystery")
    done = await _setup(world, tmp_path, "--payment-link", price)
    assert done.code == 0
    assert "nothing says how Mystery (prod_" in done.out


async def test_the_printed_session_call_makes_a_session_that_leads_back(
    world: World, tmp_path: Path
) -> None:
    done = await _setup(world, tmp_path)
    price = await world.shop.price(MANUAL)
    code = done.out[done.out.index("import os, stripe") : done.out.index("\nor with curl")]
    variables = {"STRIPE_API_KEY": environment(world.settings)["STRIPE_API_KEY"]}
    assert variables["STRIPE_API_KEY"] not in done.out
    made = await run(tmp_path, variables, "-c", code.replace("price_…", price))
    assert made.err == ""
    [session] = (await world.shop.stripe.v1.checkout.sessions.list_async()).data
    assert made.out.strip() == session.url
    assert session.success_url is not None
    assert session.success_url.endswith("/after-checkout?session_id={CHECKOUT_SESSION_ID}")
    assert session.success_url in done.out.partition("or with curl")[2]


async def test_an_address_that_stripe_cannot_reach_is_refused(world: World, tmp_path: Path) -> None:
    done = await _setup(world, tmp_path, STRIPE_API_BASE="https://api.stripe.com")
    assert done.code == 1
    assert "Stripe cannot reach" in done.err
    assert f"stripe listen --forward-to {world.settings.public_url}/webhook" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        (401, "stripe refuses the key (401)"),
        (403, "the key lacks the permission Webhook Endpoints: read (403)"),
        (500, "stripe answered 500"),
    ],
)
async def test_what_stripe_refuses_is_one_line(
    world: World, tmp_path: Path, status: int, complaint: str
) -> None:
    await world.shop.control("POST", "/faults", {"path": "/v1/", "status": status})
    done = await _setup(world, tmp_path)
    assert done.code == 1
    assert done.err.startswith(complaint)
    assert done.err.count("\n") == 1


async def test_stripe_that_cannot_be_reached_is_one_line(world: World, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = await _setup(world, tmp_path, STRIPE_API_BASE=nowhere)
    assert (done.code, done.err) == (1, f"stripe: APIConnectionError (at {nowhere})\n")


async def test_only_the_settings_it_reads_are_needed(world: World, tmp_path: Path) -> None:
    needed = ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRETS", "PUBLIC_URL")
    variables = {name: environment(world.settings)[name] for name in needed}
    assert (await run_command(tmp_path, variables, "setup")).code == 0
    refused = await run_command(tmp_path, {}, "setup")
    assert (refused.code, refused.err.splitlines()) == (
        1,
        [
            "Settings are missing or unsafe:",
            "  STRIPE_API_KEY: missing",
            "  PUBLIC_URL: missing",
        ],
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--payment-link", "prod_123"], "prod_123 is a product"),
        (
            ["--payment-link", "price_1", "--quantity", "0"],
            "Input should be greater than or equal to 1",
        ),
        (["--payment-link", "price_1", "--ship-to", "Germany"], "must be countries such as US,DE"),
        (["--quantity", "2"], "describe a --payment-link PRICE"),
        (["--nonsense"], "No such option: --nonsense"),
    ],
)
async def test_wrong_usage_exits_with_2(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = await run_command(tmp_path, {}, "setup", *arguments)
    assert done.code == 2
    assert complaint in done.err


async def test_a_price_that_stripe_does_not_know_is_named(world: World, tmp_path: Path) -> None:
    done = await _setup(world, tmp_path, "--payment-link", "price_unknown")
    assert (done.code, "does not know price_unknown" in done.err) == (1, True)
