"""Webhooks of any body and signature: an event of Stripe's, or refused; never an error of ours."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe
from hypothesis import strategies as st
from temporalio.service import RPCError

from tests.fuzz.drawn import Bend, bend, bends, draw, drawn
from tests.harness.world import WEBHOOK_SECRET, World

SESSION = f"cs_test_{uuid4().hex}"
EVENT: dict[str, Any] = {
    "id": "evt_1Fuzz",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "type": "checkout.session.completed",
    "livemode": False,
    "created": 1_790_000_000,
    "account": None,
    "data": {"object": {"id": SESSION, "object": "checkout.session", "payment_status": "paid"}},
    "request": {"id": None, "idempotency_key": None},
}
THIN: dict[str, Any] = {
    "id": "evt_test_thin",
    "object": "v2.core.event",
    "type": "v1.checkout.session.completed",
    "livemode": False,
    "created": "2026-09-22T00:00:00Z",
    "context": None,
    "related_object": {"id": SESSION, "type": "checkout.session", "url": "/v1/checkout/sessions"},
}


def _signed(body: bytes) -> str:
    return str(stripe.WebhookSignature.generate_signature_header(body.decode(), WEBHOOK_SECRET))


async def _answer(world: World, body: bytes, signature: str | None) -> httpx.Response:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    return await world.api.post("/webhook", content=body, headers=headers)


async def test_signed_events_of_any_form_are_taken_or_refused(world: World) -> None:
    async def send(event: dict[str, Any], changes: list[Bend]) -> None:
        bent = json.loads(json.dumps(event))
        bend(bent, changes)
        body = json.dumps(bent).encode()
        answer = await _answer(world, body, _signed(body))
        assert answer.status_code in {200, 400}, (answer.status_code, bent)
        assert set(answer.json()) in ({"received"}, {"error"})

    await draw(drawn(60, 5_000), send, event=st.sampled_from([EVENT, THIN]), changes=bends)


async def test_signed_text_that_is_no_event_is_refused(world: World) -> None:
    texts = st.one_of(
        st.text().map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda data: json.dumps(data).encode()),
        st.just(b"[" * 100_000),
    )

    async def send(body: bytes) -> None:
        answer = await _answer(world, body, _signed(body))
        assert answer.status_code == 400, body[:200]

    await draw(drawn(40, 2_000), send, body=texts)
    queue = world.settings.temporal_task_queue
    assert (await world.client.count_workflows(f"TaskQueue = '{queue}'")).count == 0


async def test_what_no_secret_of_ours_has_signed_is_refused_and_starts_nothing(
    world: World,
) -> None:
    session_id = f"cs_test_{uuid4().hex}"
    body = json.dumps({**EVENT, "data": {"object": {"id": session_id}}}).encode()
    now = int(time.time())
    good = _signed(body)
    signatures = st.one_of(
        st.none(),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300),
        st.tuples(
            st.integers(-(10**20), 10**20), st.from_regex(r"[0-9a-f]{0,64}", fullmatch=True)
        ).map(lambda parts: f"t={parts[0]},v1={parts[1]}"),
        # The right one for another time, of another scheme, or cut.
        st.sampled_from(
            [
                good.replace(f"t={now}", f"t={now - 10}"),
                good.replace("v1=", "v0="),
                good[:-1],
                good.upper(),
                "t=,v1=",
                "t=1,t=2,v1=a,v1=b",
            ]
        ),
    )

    async def send(signature: str | None) -> None:
        assert (await _answer(world, body, signature)).status_code == 400, signature

    await draw(drawn(60, 5_000), send, signature=signatures)
    with pytest.raises(RPCError, match="not found"):
        await world.workflow(session_id).describe()
