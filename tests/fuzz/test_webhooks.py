"""Webhooks of any body and signature: an event of Stripe's, or refused; never an error of ours."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from temporalio.service import RPCError

from tests.fuzz.drawn import Bend, bend, bends, drawn
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


async def _run(send: Callable[[], None]) -> None:
    """Runs what Hypothesis draws in a thread: the API answers on this one's event loop."""
    await asyncio.to_thread(send)


def _answer(world: World, body: bytes, signature: str | None) -> Awaitable[httpx.Response]:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    return world.api.post("/webhook", content=body, headers=headers)


async def test_signed_events_of_any_form_are_taken_or_refused(world: World) -> None:
    loop = asyncio.get_running_loop()

    @drawn(60, 5_000)
    @given(event=st.sampled_from([EVENT, THIN]), changes=bends)
    def send(event: dict[str, Any], changes: list[Bend]) -> None:
        bent = json.loads(json.dumps(event))
        bend(bent, changes)
        body = json.dumps(bent).encode()
        asked = asyncio.run_coroutine_threadsafe(_whole(_answer(world, body, _signed(body))), loop)
        answer = asked.result()
        assert answer.status_code in {200, 400}, (answer.status_code, bent)
        assert set(answer.json()) in ({"received"}, {"error"})

    await _run(send)


async def test_signed_text_that_is_no_event_is_refused(world: World) -> None:
    loop = asyncio.get_running_loop()
    texts = st.one_of(
        st.text().map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda data: json.dumps(data).encode()),
        st.just(b"[" * 100_000),
    )

    @drawn(40, 2_000)
    @given(body=texts)
    def send(body: bytes) -> None:
        asked = asyncio.run_coroutine_threadsafe(_whole(_answer(world, body, _signed(body))), loop)
        assert asked.result().status_code == 400, body[:200]

    await _run(send)


async def test_what_no_secret_of_ours_has_signed_is_refused_and_starts_nothing(
    world: World,
) -> None:
    loop = asyncio.get_running_loop()
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

    @drawn(60, 5_000)
    @given(signature=signatures)
    def send(signature: str | None) -> None:
        asked = asyncio.run_coroutine_threadsafe(_whole(_answer(world, body, signature)), loop)
        assert asked.result().status_code == 400, signature

    await _run(send)
    with pytest.raises(RPCError, match="not found"):
        await world.workflow(session_id).describe()


async def _whole(answer: Awaitable[httpx.Response]) -> httpx.Response:
    return await answer
