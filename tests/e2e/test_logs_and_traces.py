"""What API and worker tell of an order while they fulfill it, and what they keep to themselves."""

import base64
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from domain.orders import FulfillmentState, OrderState
from local.ports import free_port
from tests.harness.otlp import ToldSpan, collecting
from tests.harness.programs import programs
from tests.harness.shop import ACCESS, CUSTOMER_ADDRESS, shipment
from tests.harness.world import (
    API_KEY,
    APP_TOKEN,
    OPERATOR_TOKEN,
    SIGNING_SECRET,
    STANDARD_WEBHOOKS_SECRET,
    WEBHOOK_SECRET,
    Heard,
    World,
    eventually,
    open_world,
)
from workflows.client import connect
from workflows.encryption import data_converter
from workflows.fulfill_checkout import FulfillCheckout

CARRIER_KEY = "the-tests-own-carrier-key"
CODEC_TOKEN = "the-tests-own-codec-token"
PAYLOAD_KEY = os.urandom(32)
UNKNOWN_ADDRESS = {**CUSTOMER_ADDRESS, "postal_code": "00000"}
"""The local carrier refuses it."""
NEW_ADDRESS = {"name": "Jo Doe", "line1": "2 Oak Street", "city": "Salem", "state": "OR"}
PERSONAL = ("jo@example.com", "Jo Doe", "1 Main Street", "Springfield", "2 Oak Street", "Salem")


@dataclass(frozen=True)
class Seen:
    """What was to be seen of one order from its purchase to its delivery.

    Attributes:
        session_id: Whose.
        event_id: What told of its completion.
        lines: What both programs have logged, by program.
        spans: What they have sent to the collector.
        heard: What Stripe and the carrier have received.
        secret: Texts that nobody else may be told.
        history: What Temporal keeps of its workflow.
    """

    session_id: str
    event_id: str
    lines: dict[str, list[str]]
    spans: list[ToldSpan]
    heard: list[Heard]
    secret: tuple[str, ...]
    history: WorkflowHistory

    def logged(self, program: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines[program]]


@pytest.fixture(scope="module")
async def seen(
    database_url: str, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Seen]:
    folder = tmp_path_factory.mktemp("programs")
    heard: list[Heard] = []
    key = base64.b64encode(PAYLOAD_KEY).decode()
    client = await connect(temporal_address, "default", payload_keys=[PAYLOAD_KEY])
    async with (
        collecting() as collector,
        open_world(
            database_url,
            client,
            temporal_address,
            folder,
            heard,
            public_url=f"http://127.0.0.1:{free_port()}",
            temporal_payload_keys=key,
        ) as world,
    ):
        # As `.env` says it, which OpenTelemetry's own SDK does not read.
        (folder / ".env").write_text(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}\n"
            "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=tests\n"
        )
        variables = {
            "LOG_FORMAT": "json",
            "TEMPORAL_PAYLOAD_KEYS": key,
            "CARRIER_API_KEY": CARRIER_KEY,
            "APP_TOKEN": APP_TOKEN,
            "TEMPORAL_CODEC_TOKEN": CODEC_TOKEN,
            "DOWNLOADS_FOLDER": str(world.settings.downloads_folder),
        }
        async with programs(world, folder, variables) as running:
            session_id, secrets = await _buy_and_use(world)
        yield Seen(
            session_id=session_id,
            event_id=await world.shop.completed_event(session_id),
            lines={name: each.log.read_text().splitlines() for name, each in running.items()},
            spans=collector.spans,
            heard=heard,
            secret=(
                *PERSONAL,
                *secrets,
                *(API_KEY, WEBHOOK_SECRET, STANDARD_WEBHOOKS_SECRET, SIGNING_SECRET, key),
                *(CARRIER_KEY, OPERATOR_TOKEN, APP_TOKEN, CODEC_TOKEN),
            ),
            history=await world.workflow(session_id).fetch_history(),
        )


async def _buy_and_use(world: World) -> tuple[str, tuple[str, ...]]:
    """Buys something of each kind, meets what may go wrong, and uses each link; their tokens."""
    (world.settings.downloads_folder or Path()).joinpath("notes.txt").write_text("notes")
    await world.carrier.post("/faults", json={"status": 401})
    prices = [
        await world.shop.price(metadata)
        for metadata in (
            ACCESS,
            {"fulfillment": "license_key", "license_key_format": "EDIT-XXXXX-XXXXX-XXXXX"},
            {"fulfillment": "download", "download_files": "notes.txt"},
            shipment(await world.new_sku()),
        )
    ]
    session_id = await world.shop.checkout(*prices)
    await world.shop.pay(session_id, address=UNKNOWN_ADDRESS)

    alarm = await world.step_in(session_id, "alarm")
    await world.carrier.post("/faults", json={})
    await world.decide(session_id, "retry", alarm.step)

    async def asked() -> str | None:
        texts = [mail["text"] for mail in await world.mails()]
        return next(iter(re.findall(r"/answer\?token=(\S+)", "".join(texts))), None)

    answer = await eventually(asked)
    assert (await world.api.get("/answer", params={"token": answer})).status_code == 200
    fields = {"token": answer, **NEW_ADDRESS, "postal_code": "97301", "country": "US"}
    await world.api.post("/answer", data=fields)
    assert (await world.result(session_id)).state is OrderState.FULFILLED

    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    [download] = re.findall(r"/downloads/([^\"]+)", page.text)
    assert (await world.api.get(f"/downloads/{download}")).text == "notes"
    items = [item for line in (await world.order(session_id)).lines for item in line.fulfillments]
    assert {item.state for item in items} == {FulfillmentState.FULFILLED}
    [license_key] = [
        each.value for item in items if item.kind == "license_key" for each in item.delivered
    ]
    await world.api.post("/licenses/activate", json={"key": license_key, "instance": "desk"})
    operator = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    await world.api.get(f"/orders/{session_id}", headers=operator)
    await world.api.get("/entitlements", params={"customer": "jo@example.com"})
    await world.api.get("/jo@example.com")
    await world.api.post(f"/codec/{CODEC_TOKEN}/decode", json={"payloads": []})
    forged = await world.api.post("/webhook", json={}, headers={"Stripe-Signature": WEBHOOK_SECRET})
    assert forged.status_code == 400
    return session_id, (answer, download, license_key, ACCESS["access_url"])


def test_each_line_is_an_object(seen: Seen) -> None:
    for program, loggers in {
        "api": {"uvicorn.error", "api.webhook", "api.request_log"},
        "worker": {"worker", "temporalio.workflow", "temporalio.activity"},
    }.items():
        logged = seen.logged(program)
        assert loggers <= {line["logger"] for line in logged}
        for line in logged:
            assert {"timestamp", "level", "logger", "message"} <= line.keys()
            assert line["timestamp"].endswith("Z")


def test_a_line_names_session_event_workflow_and_trace(seen: Seen) -> None:
    [accepted] = [
        line
        for line in seen.logged("api")
        if line["logger"] == "api.webhook" and line.get("event_id") == seen.event_id
    ]
    assert accepted["session_id"] == seen.session_id
    assert accepted["event_type"] == "checkout.session.completed"
    [failed] = [line for line in seen.logged("worker") if line.get("activity") == "book_shipment"]
    assert failed["session_id"] == failed["workflow_id"] == seen.session_id
    assert failed["attempt"] == 1
    assert "carrier_unauthorized: carrier answered 401" in failed["exception"]
    [waits] = [
        line
        for line in seen.logged("worker")
        if line["logger"] == "temporalio.workflow" and "waits for an operator" in line["message"]
    ]
    assert waits["session_id"] == seen.session_id
    assert waits["workflow_id"] == seen.session_id
    assert accepted["trace_id"] == waits["trace_id"] == _trace(seen)[0].trace_id


def test_requests_are_logged_by_route(seen: Seen) -> None:
    requests = [line for line in seen.logged("api") if line["logger"] == "api.request_log"]
    found = {(line["method"], line["route"], line["status"]) for line in requests}
    assert found == {
        ("POST", "/webhook", 200),
        ("POST", "/webhook", 400),
        ("GET", "/answer", 200),
        ("POST", "/answer", 303),
        ("GET", "/after-checkout", 200),
        ("GET", "/downloads/{token}", 200),
        ("POST", "/licenses/activate", 200),
        ("GET", "/orders/{session_id}", 200),
        ("GET", "/entitlements", 401),
        ("POST", "/codec/{token}/decode", 200),
        ("GET", "none", 404),
    }
    for line in requests:
        if line["route"] in {"/after-checkout", "/orders/{session_id}", "/downloads/{token}"}:
            assert line["session_id"] == seen.session_id
        assert line["duration_ms"] >= 0


def test_no_line_holds_personal_data_or_a_secret(seen: Seen) -> None:
    for lines in seen.lines.values():
        text = "\n".join(lines)
        assert [each for each in seen.secret if each in text] == []


def _trace(seen: Seen) -> list[ToldSpan]:
    """The trace in which the order's workflow was started."""
    [start] = [
        span
        for span in seen.spans
        if span.name.startswith("StartWorkflow:")
        and span.attributes["temporalWorkflowID"] == seen.session_id
        and span.span.status.code != span.span.status.STATUS_CODE_ERROR
    ]
    return [
        start,
        *(each for each in seen.spans if each.trace_id == start.trace_id and each != start),
    ]


def _parent(span: ToldSpan, trace: list[ToldSpan]) -> ToldSpan:
    [parent] = [each for each in trace if each.span.span_id == span.span.parent_span_id]
    return parent


def test_one_trace_leads_from_the_webhook_to_the_carrier(seen: Seen) -> None:
    trace = _trace(seen)
    start = trace[0]
    webhook = _parent(start, trace)
    assert (webhook.name, webhook.span.kind) == ("POST /webhook", Span.SPAN_KIND_SERVER)
    assert webhook.attributes["http.response.status_code"] == 200
    assert webhook.service == "checkout-fulfillment-api"
    assert webhook.resource["deployment.environment.name"] == "tests"

    bookings = [each for each in seen.heard if (each.by, each.path) == ("carrier", "/shipments")]
    [booked] = [each for each in bookings if each.method == "POST"][-1:]
    _, trace_id, span_id, _ = booked.headers["traceparent"].split("-")
    assert trace_id == start.trace_id
    [call] = [each for each in trace if each.span.span_id.hex() == span_id]
    assert (call.name, call.span.kind) == ("POST", Span.SPAN_KIND_CLIENT)
    assert call.attributes["http.response.status_code"] in {200, 201}
    activity = _parent(call, trace)
    assert activity.name == "RunActivity:book_shipment"
    assert activity.service == "checkout-fulfillment-worker"
    scheduled = _parent(activity, trace)
    assert scheduled.name == "StartActivity:book_shipment"
    run = _parent(scheduled, trace)
    while run.name != "StartWorkflow:FulfillCheckout":
        run = _parent(run, trace)


def test_stripe_is_asked_within_the_trace_and_not_told_of_it(seen: Seen) -> None:
    asked = [each for each in seen.heard if each.by == "stripe" and "/v1/" in each.path]
    assert asked
    assert not [each for each in asked if {"traceparent", "baggage"} & set(each.headers.keys())]
    trace = _trace(seen)
    [sync, *_] = [each for each in trace if each.name == "RunActivity:sync_order"]
    assert [each.name for each in trace if each.span.parent_span_id == sync.span.span_id] != []


def test_probes_make_no_spans(seen: Seen) -> None:
    routes = {each.attributes.get("http.route") for each in seen.spans}
    assert "/webhook" in routes
    assert not routes & {"/healthz", "/readyz", "/metrics"}


def test_no_span_holds_personal_data_or_a_secret(seen: Seen) -> None:
    text = "\n".join(str(each.span) for each in seen.spans)
    assert "exception.type" in text, "else nothing went wrong in a span"
    assert [each for each in seen.secret if each in text] == []


async def test_an_order_that_was_traced_goes_on_where_nothing_is(seen: Seen) -> None:
    started = seen.history.events[0].workflow_execution_started_event_attributes
    assert started.header.fields
    replayer = Replayer(workflows=[FulfillCheckout], data_converter=data_converter([PAYLOAD_KEY]))
    await replayer.replay_workflow(seen.history)


async def test_without_a_collector_there_are_no_traces(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> None:
    heard: list[Heard] = []
    opening = open_world(database_url, client, temporal_address, tmp_path, heard)
    async with opening as world, world.worker():
        session_id = await world.shop.buy(shipment(await world.new_sku()))
        await world.result(session_id)
        history = await world.workflow(session_id).fetch_history()
    assert ("carrier", "POST") in {(each.by, each.method) for each in heard}
    assert not [each for each in heard if "traceparent" in each.headers]
    started = history.events[0].workflow_execution_started_event_attributes
    assert not started.header.fields
