"""What `POST /webhook` takes and what it refuses."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.app import create_app
from api.bodies import MAX_BODY_BYTES
from local.ports import free_port
from tests.harness.serving import serving
from tests.harness.world import WEBHOOK_SECRET, World


def _event(event_type: str = "checkout.session.completed", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": event_type,
        "livemode": False,
        "created": int(time.time()),
        "data": {"object": {"id": f"cs_test_{uuid4().hex}", "object": "checkout.session"}},
        **changes,
    }


async def _post(
    world: World, body: str, *, secret: str = WEBHOOK_SECRET, age_s: int = 0, header: str = ""
) -> httpx.Response:
    timestamp = int(time.time()) - age_s
    signature = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp)
    return await world.api.post(
        "/webhook", content=body, headers={"Stripe-Signature": header or signature}
    )


async def _started(world: World, event: dict[str, Any]) -> bool:
    return bool(await world.steps(event["data"]["object"]["id"]))


async def _count(world: World, event_type: str, outcome: str) -> float:
    text = (await world.api.get("/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "webhook_events_total"
        and sample.labels == {"type": event_type, "outcome": outcome}
    )


async def test_every_configured_secret_is_accepted(world: World) -> None:
    for secret in ("whsec_OneThatIsBeingRotatedOut", WEBHOOK_SECRET):
        answer = await _post(world, json.dumps(_event()), secret=secret)
        assert answer.status_code == 200
        assert answer.json() == {"received": "accepted"}


async def test_one_of_several_signatures_in_the_header_is_enough(world: World) -> None:
    body = json.dumps(_event())
    good = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    timestamp, _, signature = good.partition(",")
    header = f"{timestamp},v1={'0' * 64},{signature}"
    assert (await _post(world, body, header=header)).status_code == 200


async def test_a_forged_signature_is_refused_and_starts_nothing(world: World) -> None:
    event = _event()
    answer = await _post(world, json.dumps(event), secret="whsec_SomebodyElses")
    assert answer.status_code == 400
    async with world.worker():
        assert not await _started(world, event)


async def test_a_body_that_was_changed_after_signing_is_refused(world: World) -> None:
    body = json.dumps(_event())
    header = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    answer = await _post(world, body.replace("false", "true"), header=header)
    assert answer.status_code == 400


async def test_a_stale_signature_is_refused(world: World) -> None:
    answer = await _post(world, json.dumps(_event()), age_s=301)
    assert answer.status_code == 400
    assert "Timestamp outside the tolerance zone" in answer.json()["error"]


@pytest.mark.parametrize(
    "header", ["nonsense", "t=,v1=", "v1=abc", "t=1e9,v1=abc", f"t={'9' * 5000},v1=a", "t=1"]
)
async def test_a_malformed_signature_header_is_refused(world: World, header: str) -> None:
    assert (await _post(world, "{}", header=header)).status_code == 400


async def test_a_missing_signature_is_refused(world: World) -> None:
    assert (await world.api.post("/webhook", content="{}")).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        "{}",
        '{"object": "event"}',
        json.dumps({"object": "event", "id": 1, "type": None, "livemode": "x", "data": []}),
        json.dumps(_event(data={})),
        "[" * 20_000,
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(world: World, body: str) -> None:
    assert (await _post(world, body)).status_code == 400


def _thin(**changes: Any) -> dict[str, Any]:
    session_id = f"cs_test_{uuid4().hex}"
    return {
        "id": f"evt_test_{uuid4().hex}",
        "object": "v2.core.event",
        "type": "v1.checkout.session.completed",
        "livemode": False,
        "created": "2026-11-23T12:00:00.000Z",
        "related_object": {
            "id": session_id,
            "type": "checkout.session",
            "url": f"/v1/checkout/sessions/{session_id}",
        },
        **changes,
    }


async def test_a_thin_event_starts_the_same_workflow(world: World) -> None:
    thin = _thin()
    answer = await _post(world, json.dumps(thin))
    assert answer.json() == {"received": "accepted"}
    async with world.worker():
        assert await world.steps(thin["related_object"]["id"])


async def test_a_thin_event_without_an_object_is_acknowledged(world: World) -> None:
    answer = await _post(world, json.dumps(_thin(related_object=None)))
    assert answer.json() == {"received": "unusable"}


async def test_a_thin_event_without_its_type_is_refused(world: World) -> None:
    assert (await _post(world, json.dumps(_thin(type=None)))).status_code == 400


@pytest.mark.parametrize(
    "event", [_event(account="acct_NotConnected"), _thin(context="acct_NotConnected")]
)
async def test_an_account_that_is_not_ours_is_acknowledged_and_starts_nothing(
    world: World, event: dict[str, Any]
) -> None:
    answer = await _post(world, json.dumps(event))
    assert answer.json() == {"received": "foreign_account"}


async def test_bytes_that_are_no_text_are_refused(world: World) -> None:
    answer = await world.api.post(
        "/webhook", content=b"\xff\xfe", headers={"Stripe-Signature": "t=1,v1=a"}
    )
    assert answer.status_code == 400


async def test_an_oversize_body_is_refused(world: World) -> None:
    body = json.dumps(_event(padding="x" * MAX_BODY_BYTES))
    answer = await _post(world, body)
    assert answer.status_code == 413


async def test_other_events_are_acknowledged_and_counted(world: World) -> None:
    before = await _count(world, "customer.created", "ignored")
    answer = await _post(world, json.dumps(_event("customer.created")))
    assert answer.status_code == 200
    assert await _count(world, "customer.created", "ignored") == before + 1


async def test_an_event_about_an_object_without_an_id_is_acknowledged(world: World) -> None:
    balance = _event("balance.available", data={"object": {"object": "balance"}})
    assert (await _post(world, json.dumps(balance))).json() == {"received": "ignored"}


async def test_an_api_that_started_alone_asks_to_be_called_again(
    world: World,
) -> None:
    settings = world.settings.model_copy(
        update={
            "temporal_address": f"127.0.0.1:{free_port()}",
            "database_url": SecretStr(f"postgresql://u:p@127.0.0.1:{free_port()}/x"),
        }
    )
    port = free_port()
    body = json.dumps(_event())
    signature = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    async with (
        serving({port: create_app(settings)}),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as api,
    ):
        answer = await api.post("/webhook", content=body, headers={"Stripe-Signature": signature})
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        ready = await api.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {
            "status": "unready",
            "database": "the database cannot be reached",
            "temporal": "Temporal cannot be reached",
        }


async def test_a_live_event_on_a_test_deployment_is_acknowledged_and_starts_nothing(
    world: World,
) -> None:
    event = _event(livemode=True)
    answer = await _post(world, json.dumps(event))
    assert answer.json() == {"received": "wrong_mode"}
    async with world.worker():
        assert not await _started(world, event)


@pytest.mark.parametrize("event_type", ["checkout.session.completed", "refund.updated"])
@pytest.mark.parametrize("named", [{"id": "../../etc"}, {}])
async def test_an_event_that_names_nothing_to_work_on_is_acknowledged(
    world: World, event_type: str, named: dict[str, str]
) -> None:
    answer = await _post(world, json.dumps(_event(event_type, data={"object": named})))
    assert answer.json() == {"received": "unusable"}
