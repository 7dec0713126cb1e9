"""`fulfillment doctor`: all green on a healthy site, and each ailment named."""

import asyncio
import json
import re
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from google.protobuf.duration_pb2 import Duration
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from api.app import create_app
from api.events import handled_events
from commands.checks.registry import Finding, State, open_site
from commands.checks.webhook import webhook_endpoint
from commands.doctor import examine
from commands.partial_settings import PartialSettings
from database.migrate import upgrade
from database.revisions import newest_revision
from local.ports import LOCALHOST, free_port
from settings import Settings
from tests.commands.programs import environment, run_command
from tests.harness.easypost import EasyPostStandIn
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, MANUAL
from tests.harness.world import API_KEY, OPERATOR_TOKEN, WEBHOOK_SECRET, World
from workflows.schedule import ensure_schedule, schedule_id

Break = Callable[[World, AsyncExitStack, Path], Awaitable[dict[str, Any]]]
"""Breaks something of a world; returns the settings that it changes for that."""


async def _examined(
    world: World, changed: dict[str, Any] | None = None, ahead: timedelta = timedelta()
) -> dict[str, Finding]:
    """What the doctor finds, by check.

    Args:
        world: What is examined.
        changed: Settings that differ from the world's.
        ahead: How far the doctor's clock is ahead.
    """
    settings = Settings.model_validate({**world.settings.model_dump(), **(changed or {})})
    groups = await examine(PartialSettings(settings, {}), lambda: datetime.now(UTC) + ahead)
    return {row.check: row.finding for group in groups for row in group}


async def _set_endpoint(world: World, **parameters: Any) -> None:
    [endpoint] = (await world.shop.stripe.v1.webhook_endpoints.list_async()).data
    changes: Any = parameters
    await world.shop.stripe.v1.webhook_endpoints.update_async(endpoint.id, changes)


def _fault(status: int, path: str = "/v1/") -> Break:
    async def stripe_answers(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
        await world.shop.control("POST", "/faults", {"path": path, "status": status})
        return {}

    return stripe_answers


def _setting(**changed: str) -> Break:
    async def set_to(_: World, __: AsyncExitStack, ___: Path) -> dict[str, Any]:
        return dict(changed)

    return set_to


def _closed(setting: str, url: str) -> Break:
    async def moved_to_a_closed_port(_: World, __: AsyncExitStack, ___: Path) -> dict[str, Any]:
        return {setting: url.format(port=free_port())}

    return moved_to_a_closed_port


def _endpoint(**parameters: Any) -> Break:
    async def endpoint_is(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
        await _set_endpoint(world, **parameters)
        return {}

    return endpoint_is


async def _endpoint_missing(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
    [endpoint] = (await world.shop.stripe.v1.webhook_endpoints.list_async()).data
    await world.shop.stripe.v1.webhook_endpoints.delete_async(endpoint.id)
    return {}


async def _endpoint_twice(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
    await world.shop.stripe.v1.webhook_endpoints.create_async(
        {"url": f"{world.settings.public_url}/webhook", "enabled_events": ["*"]}
    )
    return {}


async def _wrong_easypost_key(_: World, stack: AsyncExitStack, __: Path) -> dict[str, Any]:
    port = free_port()
    await stack.enter_async_context(serving({port: EasyPostStandIn().app}))
    url = f"http://127.0.0.1:{port}"
    return {"carrier": "easypost", "carrier_url": url, "carrier_api_key": "wrong"}


async def _at(stack: AsyncExitStack, route: Callable[[Request], Awaitable[Response]]) -> str:
    """Serves a page in place of the API; returns its address."""
    port = free_port()
    app = Starlette(routes=[Route("/webhook", route, methods=["POST"])])
    await stack.enter_async_context(serving({port: app}))
    return f"http://{LOCALHOST}:{port}"


async def _redirected(world: World, stack: AsyncExitStack, _: Path) -> dict[str, Any]:
    async def elsewhere(_: Request) -> Response:
        return RedirectResponse(f"{world.settings.public_url}/webhook")

    return {"public_url": await _at(stack, elsewhere)}


async def _another_site(_: World, stack: AsyncExitStack, __: Path) -> dict[str, Any]:
    async def welcome(_: Request) -> Response:
        return PlainTextResponse("Welcome")

    return {"public_url": await _at(stack, welcome)}


async def _short_retention(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
    name = f"short-{uuid4().hex[:8]}"
    await world.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name,
            workflow_execution_retention_period=Duration(seconds=3 * 24 * 3600),
        )
    )
    return {"temporal_namespace": name}


async def _schedule_paused(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
    queue = world.settings.temporal_task_queue
    await ensure_schedule(world.client, queue)
    await world.client.get_schedule_handle(schedule_id(queue)).pause()
    return {}


def _new_database(world: World) -> str:
    """Creates an empty database beside the world's; returns its URL."""
    url = world.settings.database_url.get_secret_value()
    name = f"doctor_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{url.rpartition('/')[0]}/{name}"


async def _not_migrated(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
    return {"database_url": await asyncio.to_thread(_new_database, world)}


async def _half_migrated(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
    def migrate_but_not_quite() -> str:
        url = _new_database(world)
        upgrade(url)
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
        return url

    return {"database_url": await asyncio.to_thread(migrate_but_not_quite)}


async def _mail_wants_a_password(_: World, stack: AsyncExitStack, __: Path) -> dict[str, Any]:
    def refuse(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    def protocol() -> SMTP:
        with warnings.catch_warnings(action="ignore"):  # of passwords without TLS, on loopback
            return SMTP(None, authenticator=refuse, auth_required=True, auth_require_tls=False)

    port = free_port()
    server = await asyncio.get_running_loop().create_server(protocol, LOCALHOST, port)
    await stack.enter_async_context(_closing(server))
    return {"smtp_url": f"smtp://shop:the-mail-password@{LOCALHOST}:{port}"}


@asynccontextmanager
async def _closing(server: asyncio.Server) -> AsyncIterator[None]:
    yield
    server.close()
    await server.wait_closed()


def _catalog(text: str) -> Break:
    async def written(_: World, __: AsyncExitStack, folder: Path) -> dict[str, Any]:
        path = folder / "catalog.toml"
        path.write_text(text)
        return {"catalog_file": path}

    return written


def _product(**metadata: str) -> Break:
    async def on_sale(world: World, _: AsyncExitStack, __: Path) -> dict[str, Any]:
        await world.shop.price(metadata, name="Teapot")
        return {}

    return on_sale


ENTRY = 'fulfillment = "manual"\nmanual_instructions = "Call"\n'
OTHER_SECRET = "whsec_KnownToNobodyElse0123456789"
SETUP = "`fulfillment setup`"
MIGRATE = "fulfillment migrate"
FIRST_EVENT, *OTHER_EVENTS = handled_events()
NO_STRIPE = _closed("stripe_api_base", "http://127.0.0.1:{port}")
NO_API = _closed("public_url", "http://127.0.0.1:{port}")
NO_TEMPORAL = _closed("temporal_address", "127.0.0.1:{port}")
NO_DATABASE = _closed("database_url", "postgresql://shop:hidden@127.0.0.1:{port}/x")
NO_MAIL = _closed("smtp_url", "smtp://127.0.0.1:{port}")
NO_CARRIER = _closed("carrier_url", "http://127.0.0.1:{port}")
NO_TRACKING = _setting(carrier_webhook_secrets="")
EVENT_MISSING = _endpoint(enabled_events=OTHER_EVENTS)
EVENT_TOO_MANY = _endpoint(enabled_events=[*handled_events(), "product.created"])
PRODUCT_GONE = _catalog(f"[products.prod_gone]\n{ENTRY}")
PRICE_GONE = _catalog(f"[prices.price_gone]\n{ENTRY}")
NO_WEIGHT = _product(fulfillment="shipment", shipment_sku="POT")

AILMENTS: list[tuple[Break, str, str]] = [
    (_fault(401), "Stripe key: fail: refuses the key (401)", "STRIPE_API_KEY"),
    (_fault(403), "Stripe key: fail: SetupIntents: read", "Grant the restricted key Checkout Ses"),
    (_fault(403, "/v1/invoices"), "Stripe key: fail: lacks: Invoices: read", "Invoices: read"),
    (_fault(403, "/webhook_e"), "webhook endpoint: skipped: Webhook Endpoints: read", "Grant"),
    (_fault(500), "Stripe key: fail: answered 500", "https://status.stripe.com"),
    (NO_STRIPE, "Stripe key: fail: APIConnectionError", "STRIPE_API_BASE"),
    (_endpoint_missing, "webhook endpoint: fail: none for http", f"{SETUP}: it creates one"),
    (_endpoint_twice, "webhook endpoint: warn: 2 for one URL", "Delete all but one"),
    (_endpoint(disabled=True), "endpoint enabled: fail: disabled", f"{SETUP}: it enables it"),
    (_endpoint(), "endpoint events: warn: sends all events, which", f"{SETUP}: it narrows them"),
    (EVENT_MISSING, f"endpoint events: fail: not send {FIRST_EVENT}", f"{SETUP}: it adds them"),
    (EVENT_TOO_MANY, "endpoint events: warn: sends product.created, which", f"{SETUP}: it narrows"),
    (_endpoint(), "endpoint API version: ok: harmless", ""),
    (_setting(stripe_connect_accounts="*"), "Connect endpoint: fail: none", "setup --connect`"),
    (
        _setting(stripe_webhook_secrets=OTHER_SECRET),
        "webhook answers: fail: the running API refuses the first of STRIPE_WEBHOOK_SECRETS (400)",
        "runs with other secrets",
    ),
    (_setting(stripe_webhook_secrets=""), "STRIPE_WEBHOOK_SECRETS: fail: missing", SETUP),
    (
        _redirected,
        "webhook answers: fail: redirects (307) to http",
        "Stripe counts a redirect as failure, use the final URL",
    ),
    (_another_site, "webhook answers: fail: not as this API does", "PUBLIC_URL leads to the API"),
    (NO_API, "webhook answers: fail: cannot be reached", "Start the API (python -m api)"),
    (NO_TEMPORAL, "Temporal: fail: cannot be reached", "Start the Temporal server"),
    (
        _setting(temporal_namespace="nowhere"),
        "Temporal namespace: fail: nowhere does not exist",
        "temporal operator namespace create -n nowhere --retention 90d",
    ),
    (_short_retention, "Temporal retention: warn: 3 d; ", "namespace update -n short-"),
    (_endpoint(), "worker: warn: none on the task queue tests-", "python worker.py"),
    (_endpoint(), "reconciliation: warn: no schedule reconcile-tests-", "Start a worker"),
    (_schedule_paused, "reconciliation: warn: is paused", "temporal schedule toggle --schedule-id"),
    (NO_DATABASE, "database: fail: cannot be reached", "Start PostgreSQL, or mend DATABASE_URL"),
    (_not_migrated, "database: fail: not migrated", MIGRATE),
    (_half_migrated, f"database: fail: 0001, this code needs {newest_revision()}", MIGRATE),
    (NO_MAIL, "mail server: fail: cannot be reached", "mend SMTP_URL"),
    (_mail_wants_a_password, "mail server: fail: to let us in (535)", "Mend user and password"),
    (NO_CARRIER, "carrier: fail: ConnectError", "Start the carrier, or mend CARRIER_URL"),
    (_wrong_easypost_key, "carrier: fail: easypost answered 401", "CARRIER_API_KEY"),
    (NO_TRACKING, "carrier: warn: cannot tell where parcels are", "/carrier/webhook"),
    (_catalog("products = 1"), "catalog file: fail: products: ", "catalog.toml"),
    (_setting(catalog_file="/nowhere.toml"), "catalog file: fail: No such file", "/nowhere.toml"),
    (PRODUCT_GONE, "catalog IDs: fail: does not know prod_gone", "Correct or remove these IDs"),
    (PRICE_GONE, "catalog IDs: fail: does not know price_gone", "Correct or remove these IDs"),
    (NO_WEIGHT, "product metadata: fail: shipment_weight_grams: Field required", "Correct the"),
    (_product(fulfillment="pigeon"), "product metadata: fail: Teapot (prod_", "Correct the meta"),
    (_product(), "undescribed products: warn: 1: Teapot (prod_", "Set the metadata `fulfillment`"),
]
"""What is wrong; the check, the state and what is found, as the doctor says it; the remedy."""


async def test_a_healthy_site_is_all_green(world: World) -> None:
    await _set_endpoint(world, enabled_events=list(handled_events()))
    await world.shop.price(ACCESS)
    await ensure_schedule(world.client, world.settings.temporal_task_queue)
    async with world.worker():
        found = await _examined(world)
    unused = {"Connect endpoint", "catalog IDs"}
    assert {name: finding for name, finding in found.items() if finding.state is not State.OK} == {
        name: finding
        for name, finding in found.items()
        if name in unused and finding.state is State.SKIPPED
    }
    assert found["worker"].found.startswith("1 on the task queue tests-")
    assert not any(finding.remedy for finding in found.values())


@pytest.mark.parametrize(("cause", "diagnosis", "remedy"), AILMENTS)
async def test_each_ailment_is_named_with_its_remedy(
    world: World, tmp_path: Path, cause: Break, diagnosis: str, remedy: str
) -> None:
    check, state, found = diagnosis.split(": ", maxsplit=2)
    async with AsyncExitStack() as stack:
        finding = (await _examined(world, await cause(world, stack, tmp_path)))[check]
    assert finding.state == state
    assert found in finding.found
    assert remedy in finding.remedy


async def test_a_failed_check_stops_only_what_builds_on_it(world: World) -> None:
    await world.shop.control("POST", "/faults", {"path": "/v1/", "status": 401})
    found = await _examined(world)
    assert found["clock"].state is State.SKIPPED
    assert found["clock"].found == "needs “Stripe key”"
    assert found["product metadata"].state is State.SKIPPED
    assert {found[name].state for name in ("webhook answers", "database", "carrier")} == {State.OK}


async def test_an_address_that_stripe_cannot_reach_needs_no_endpoint(world: World) -> None:
    settings = world.settings.model_copy(update={"stripe_api_base": "https://api.stripe.com"})
    async with open_site(settings, lambda: datetime.now(UTC)) as site:
        finding = await webhook_endpoint.look(site)
    assert finding.state is State.SKIPPED
    assert f"stripe listen --forward-to {settings.public_url}/webhook" in finding.remedy


@pytest.mark.parametrize(
    ("ahead", "state", "found"),
    [
        (timedelta(minutes=10), "fail", "ahead of Stripe's: every webhook is refused"),
        (timedelta(minutes=2), "warn", "ahead of Stripe's"),
        (-timedelta(minutes=10), "warn", "behind Stripe's"),
    ],
)
async def test_a_wrong_clock_is_noticed(
    world: World, ahead: timedelta, state: str, found: str
) -> None:
    finding = (await _examined(world, ahead=ahead))["clock"]
    assert finding.state == state
    assert found in finding.found
    assert "NTP" in finding.remedy


async def test_undelivered_events_are_counted(world: World) -> None:
    await world.shop.deliveries("drop")
    await world.shop.buy(MANUAL)
    await world.shop.buy(MANUAL)
    assert (await _examined(world))["undelivered events"].state is State.OK  # may be on their way
    finding = (await _examined(world, ahead=timedelta(minutes=2)))["undelivered events"]
    assert finding.state is State.WARN
    assert finding.found.startswith("2 in 3 days")
    assert "resend" in finding.remedy


async def test_a_connect_endpoint_is_looked_at_like_our_own(world: World) -> None:
    parameters: Any = {
        "url": f"{world.settings.public_url}/webhook",
        "enabled_events": ["checkout.session.completed"],
        "connect": True,
        "metadata": {"fulfillment": "connect"},
    }
    made = await world.shop.stripe.v1.webhook_endpoints.create_async(parameters)
    found = await _examined(world, {"stripe_connect_accounts": "*"})
    assert found["webhook endpoint"].state is State.OK
    finding = found["Connect endpoint"]
    assert finding.state is State.FAIL
    assert f"{made.id} does not send charge.dispute.closed" in finding.found
    assert "--connect" in finding.remedy


async def test_the_catalog_describes_products_and_prices(world: World, tmp_path: Path) -> None:
    sold = [await world.shop.price({}, name=name) for name in ("Pot", "Cup", "Pan")]
    prices = [await world.shop.stripe.v1.prices.retrieve_async(price) for price in sold]
    await world.shop.stripe.v1.prices.update_async(sold[1], {"active": False})
    text = f"[products.{prices[0].product}]\n{ENTRY}[prices.{sold[1]}]\n{ENTRY}"
    changed = await _catalog(text)(world, AsyncExitStack(), tmp_path)
    found = await _examined(world, changed)
    assert found["catalog file"].found == "1 products, 1 prices"
    assert found["catalog IDs"].state is State.WARN
    assert found["catalog IDs"].found == f"not active at Stripe: {sold[1]}"
    assert found["undescribed products"].found == f"1: Pan ({prices[2].product})"
    ignored = await _examined(world, {**changed, "foreign_sessions": "ignore"})
    assert ignored["undescribed products"].state is State.OK


async def test_broken_settings_are_rows_and_skip_what_needs_them(
    world: World, tmp_path: Path
) -> None:
    variables = environment(world.settings)
    del variables["CARRIER_URL"]
    variables |= {"SMTP_URL": "mail.example.com", "STRIPE_API_KEY": "sk_live_1"}
    done = await run_command(tmp_path, variables, "doctor", "--json")
    assert (done.code, done.err) == (1, "")
    answer = json.loads(done.out)
    assert answer["ok"] is False
    rows = {row["check"]: row for row in answer["checks"]}
    for name, found in {
        "CARRIER_URL": "missing",
        "SMTP_URL": "must be smtp://",
        "STRIPE_API_KEY": "a live key is never sent to a local stand-in",
    }.items():
        assert rows[name]["state"] == "fail"
        assert found in rows[name]["found"]
        assert name in rows[name]["remedy"]
    for name, needs in {
        "carrier": "needs CARRIER_URL",
        "mail server": "needs SMTP_URL",
        "Stripe key": "needs STRIPE_API_KEY",
    }.items():
        assert (rows[name]["state"], rows[name]["found"]) == ("skipped", needs)
    assert rows["database"]["state"] == rows["Temporal"]["state"] == "ok"


async def test_without_any_setting_it_still_says_what_to_do(tmp_path: Path) -> None:
    done = await run_command(tmp_path, {}, "doctor")
    assert (done.code, done.err) == (1, "")
    assert re.search(r"^PUBLIC_URL +fail +missing +Set PUBLIC_URL in the", done.out, re.MULTILINE)
    assert re.search(r"^database +skipped +needs DATABASE_URL *$", done.out, re.MULTILINE)


async def test_the_table_shows_everything_but_secrets(world: World, tmp_path: Path) -> None:
    variables = environment(world.settings)
    done = await run_command(tmp_path, variables, "doctor")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == ["Check", "State", "Found", "What", "to", "do"]
    assert "3 warn" in done.out  # events, no worker, no schedule
    password = world.settings.database_url.get_secret_value().split(":")[2].partition("@")[0]
    for secret in (API_KEY, WEBHOOK_SECRET, OPERATOR_TOKEN, password):
        assert secret not in done.out


async def test_an_api_with_other_secrets_than_the_endpoint_shows_in_the_probe(
    world: World,
) -> None:
    port = free_port()
    changed = {
        "public_url": f"http://{LOCALHOST}:{port}",
        "stripe_webhook_secrets": OTHER_SECRET,
    }
    settings = Settings.model_validate({**world.settings.model_dump(), **changed})
    async with serving({port: create_app(settings)}):
        mine = await _examined(world, {"public_url": changed["public_url"]})
        its = await _examined(world, changed)
    assert mine["webhook answers"].state is State.FAIL
    assert its["webhook answers"].state is State.OK
