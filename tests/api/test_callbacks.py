"""`POST /fulfillments/{call_id}`: only the service's own, first final word counts."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from database.tables import service_calls
from tests.harness.service import (
    FULFILLED,
    PENDING,
    Answer,
    call_back,
    merchant_service,
    signed,
)
from tests.harness.world import World

FAILED = {"status": "failed", "reason": "no_seats_left"}
OTHER_SECRET = "whsec_U29tZWJvZHlFbHNlc1NlY3JldE9mVGhpcnR5MkJ5dGVz"


@pytest.fixture
async def call_id(world: World) -> AsyncIterator[str]:
    """A call that the service has in hand; nothing works on it."""
    async with merchant_service() as service:
        service.answers = [Answer(PENDING)]
        async with world.worker():
            session_id = await world.shop.buy(service.metadata)
            await world.step_in(session_id, "waiting")
        yield str(service.asked[0]["id"])


async def recorded(world: World, call_id: str) -> dict[str, Any]:
    async with world.database.transaction() as connection:
        row = await connection.execute(select(service_calls).where(service_calls.c.id == call_id))
    return dict(row.one()._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


async def test_a_word_is_recorded_and_may_be_repeated(world: World, call_id: str) -> None:
    for _ in range(2):
        answer = await call_back(world.api, call_id, FULFILLED)
        assert (answer.status_code, answer.json()) == (200, {"status": "fulfilled"})
    row = await recorded(world, call_id)
    assert row["status"] == "fulfilled"
    assert [each["value"] for each in row["delivered"]] == ["SEAT-12-A"]


async def test_a_later_word_that_contradicts_is_refused(world: World, call_id: str) -> None:
    await call_back(world.api, call_id, FAILED)
    contradicting = {"status": "failed", "reason": "other"}
    for body in (FULFILLED, contradicting):
        assert (await call_back(world.api, call_id, body)).status_code == 409
    assert (await recorded(world, call_id))["reason"] == "no_seats_left"


async def test_a_late_pending_changes_nothing(world: World, call_id: str) -> None:
    await call_back(world.api, call_id, FULFILLED)
    answer = await call_back(world.api, call_id, PENDING)
    assert (answer.status_code, answer.json()) == (200, {"status": "fulfilled"})


async def test_of_contradicting_words_at_once_one_counts(world: World, call_id: str) -> None:
    answers = await asyncio.gather(
        *(call_back(world.api, call_id, body) for body in (FULFILLED, FAILED) * 4)
    )
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [200] * 4 + [409] * 4
    said = {answer.json()["status"] for answer in answers if answer.status_code == 200}
    assert said == {(await recorded(world, call_id))["status"]}


async def test_what_another_secret_signed_is_refused(world: World, call_id: str) -> None:
    answer = await call_back(world.api, call_id, FULFILLED, OTHER_SECRET)
    assert answer.status_code == 400
    assert (await recorded(world, call_id))["status"] == "pending"


async def test_one_calls_word_is_not_played_to_another(world: World, call_id: str) -> None:
    content, headers = signed("call_other", FULFILLED)
    answer = await world.api.post(f"/fulfillments/{call_id}", content=content, headers=headers)
    assert answer.status_code == 400
    assert (await recorded(world, call_id))["status"] == "pending"


async def test_an_old_or_absent_signature_is_refused(world: World, call_id: str) -> None:
    content, headers = signed(call_id, FULFILLED)
    old = {**headers, "webhook-timestamp": str(int(time.time()) - 3600)}
    for sent in (old, {}, {**headers, "webhook-signature": "v1"}):
        answer = await world.api.post(f"/fulfillments/{call_id}", content=content, headers=sent)
        assert answer.status_code == 400
    assert (await recorded(world, call_id))["status"] == "pending"


async def test_an_unknown_call_is_not_found(world: World) -> None:
    assert (await call_back(world.api, "call_unknown", FULFILLED)).status_code == 404


UNREADABLE: list[tuple[object, str]] = [
    (b"[]", ""),
    (b'{"status": "fulfilled", "delivered": "\\ud800"', ""),
    ({"status": "asked"}, "status"),
    ({"status": "failed", "reason": "Jo Doe has left"}, "reason"),
    ({"status": "pending", "delivered": FULFILLED["delivered"]}, ""),
    ({"status": "fulfilled", "delivered": [{"type": "file", "value": "a.pdf"}]}, ""),
    ({"status": "fulfilled", "delivered": [{"type": "text", "value": "a\0b"}]}, ""),
    (
        {"status": "fulfilled", "delivered": [{"type": "link", "value": "javascript:alert()"}]},
        "delivered",
    ),
    ({"status": "fulfilled", "delivered": [{"type": "key", "value": "k" * 2001}]}, ""),
    ({"status": "fulfilled", "delivered": [{"type": "key", "value": "k"}] * 101}, "delivered"),
]
"""With where the problem is."""


async def test_what_cannot_be_understood_is_told_with_the_place_and_not_recorded(
    world: World, call_id: str
) -> None:
    for body, place in UNREADABLE:
        answer = await call_back(world.api, call_id, body)
        assert answer.status_code == 422, body
        [problem] = answer.json()["detail"]
        assert ".".join(str(part) for part in problem["loc"]).startswith(place), body
    assert (await recorded(world, call_id))["status"] == "pending"


async def test_a_body_without_end_is_refused(world: World, call_id: str) -> None:
    answer = await call_back(world.api, call_id, b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413
