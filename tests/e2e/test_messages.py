"""The merchant's application is told what happens: signed, retried, logged, and again if asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from activities.access import Access
from activities.messages import Messages
from database.engine import Database
from database.messages import record_message
from database.tables import messages
from domain.messages import MessageState, MessageType
from local.ports import free_port
from tests.harness.merchant_app import TAKEN, MerchantApp, merchant_app
from tests.harness.service import Answer
from tests.harness.serving import serving
from tests.harness.shop import ACCESS
from tests.harness.world import OPERATOR_TOKEN, World, eventually
from workflows.client import connect
from workflows.options import MESSAGE_DELAYS, MESSAGE_JITTER
from workflows.outbox import WorkflowOutbox

BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
BUSY = Answer(status=500)


@pytest.fixture(autouse=True)
async def nothing_is_left_to_send(database_url: str) -> AsyncIterator[None]:
    """The database is the whole run's, and other tests sweep too."""
    yield
    async with Database(database_url) as database, database.transaction() as connection:
        await connection.execute(
            update(messages)
            .where(messages.c.state == MessageState.PENDING)
            .values(state=MessageState.FAILED)
        )


@pytest.fixture
async def app(world: World) -> AsyncIterator[MerchantApp]:
    async with merchant_app(world) as opened:
        yield opened


@pytest.fixture
async def skipping_app(skipping_world: World) -> AsyncIterator[MerchantApp]:
    """One of a world that skips time while a workflow is waited for."""
    async with merchant_app(skipping_world) as opened:
        yield opened


async def recorded(world: World) -> str:
    """A message that nobody sends yet."""
    async with world.database.transaction() as connection:
        return await record_message(connection, MessageType.STOCK_LOW, {"sku": "MUG", "left": 2})


async def waited(world: World, message_id: str) -> list[timedelta]:
    """How long the message's workflow was to wait before each new try."""
    history = await world.client.get_workflow_handle(f"message:{message_id}").fetch_history()
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in history.events
        if event.HasField("timer_started_event_attributes")
    ]


async def test_a_grant_is_told_once_signed_and_logged(app: MerchantApp) -> None:
    async with app.world.worker():
        session_id = await app.world.shop.buy(ACCESS, client_reference_id="user-7")
        await app.world.result(session_id)
        message = await app.message_of(session_id)
        assert await app.ended(message.id) is MessageState.DELIVERED
    [told] = app.told
    assert told.id == message.id
    assert told.body["type"] == "entitlement.granted"
    assert set(told.body) == {"type", "timestamp", "data"}
    data = told.body["data"]
    assert data["id"].startswith("ent_")
    assert data["session_id"] == session_id
    assert (data["feature"], data["quantity"], data["expires_at"]) == ("course", 1, None)
    assert data["customer"] == {
        "id": None,
        "client_reference_id": "user-7",
        "email": "jo@example.com",
    }
    [attempt] = await app.attempts(message.id)
    assert (attempt.status_code, attempt.error) == (204, None)
    history = await app.world.client.get_workflow_handle(f"message:{message.id}").fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    assert b"jo@example.com" not in stored


async def test_without_an_application_nothing_is_recorded(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
    listed = (await world.api.get("/messages", headers=BEARER)).json()
    assert [message for message in listed if message["session_id"] == session_id] == []


async def test_what_is_not_taken_is_tried_on_the_schedule_until_it_is(
    skipping_app: MerchantApp,
) -> None:
    app = skipping_app
    app.answers = [BUSY, Answer(status=429), TAKEN]
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)
        await app.world.skip(timedelta(hours=1))
        assert await app.ended(message_id) is MessageState.DELIVERED
    assert [told.id for told in app.told] == [message_id] * 3
    assert [each.status_code for each in await app.attempts(message_id)] == [500, 429, 204]
    first, second = await waited(app.world, message_id)
    assert timedelta(seconds=5) <= first <= timedelta(seconds=5.5)
    assert timedelta(minutes=5) <= second <= timedelta(minutes=5.5)


async def test_after_ten_tries_a_message_has_failed_and_can_be_sent_again(
    skipping_app: MerchantApp,
) -> None:
    app = skipping_app
    app.answers = [BUSY]
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)
        await app.world.skip(timedelta(days=4))
        assert await app.ended(message_id) is MessageState.FAILED
        waits = await waited(app.world, message_id)
        for wait, planned in zip(waits, MESSAGE_DELAYS, strict=True):
            assert planned <= wait <= planned * (1 + MESSAGE_JITTER)
        failed = await app.world.api.get("/messages", params={"state": "failed"}, headers=BEARER)
        assert message_id in {message["id"] for message in failed.json()}

        app.answers = [TAKEN]
        answer = await app.world.api.post(f"/messages/{message_id}/redeliver", headers=BEARER)
        assert answer.status_code == 202
        assert await app.ended(message_id) is MessageState.DELIVERED
    assert [told.id for told in app.told] == [message_id] * 11
    log = (await app.world.api.get(f"/messages/{message_id}", headers=BEARER)).json()
    assert log["state"] == "delivered"
    assert [each["status_code"] for each in log["attempts"]] == [500] * 10 + [204]


async def test_redelivery_of_what_is_being_retried_does_not_wait(app: MerchantApp) -> None:
    app.answers = [BUSY, BUSY, TAKEN]
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)

        async def tried_twice() -> bool | None:
            return len(await app.attempts(message_id)) == 2 or None  # the next is in five minutes

        await eventually(tried_twice)
        await app.world.api.post(f"/messages/{message_id}/redeliver", headers=BEARER)
        await app.in_state(message_id, MessageState.DELIVERED)
    assert len(app.told) == 3


async def test_what_was_delivered_can_be_delivered_again_under_its_id(app: MerchantApp) -> None:
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)
        await app.ended(message_id)
        await app.outbox.send_message(message_id)
        await app.ended(message_id)
        assert len(app.told) == 1  # to ask twice sends once

        await app.world.api.post(f"/messages/{message_id}/redeliver", headers=BEARER)
        await app.ended(message_id)
    assert [told.id for told in app.told] == [message_id] * 2
    assert app.told[0].body == app.told[1].body


async def test_an_application_that_is_gone_is_told_no_more(app: MerchantApp) -> None:
    app.answers = [Answer(status=410)]
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)
        assert await app.ended(message_id) is MessageState.FAILED
    [attempt] = await app.attempts(message_id)
    assert attempt.status_code == 410


async def test_an_application_that_asks_for_patience_gets_it(skipping_app: MerchantApp) -> None:
    app = skipping_app
    app.answers = [Answer(status=503, headers={"Retry-After": "120"}), TAKEN]
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)
        await app.world.skip(timedelta(hours=1))
        assert await app.ended(message_id) is MessageState.DELIVERED
    assert await waited(app.world, message_id) == [timedelta(seconds=120)]


async def test_an_application_that_is_down_is_told_when_it_is_back(world: World) -> None:
    port = free_port()
    down = world.with_settings(app_webhook_url=f"http://127.0.0.1:{port}/hook")
    app = MerchantApp(down)
    async with down.worker():
        message_id = await recorded(world)
        await app.outbox.send_message(message_id)

        async def tried() -> str | None:
            attempts = await app.attempts(message_id)
            return attempts[0].error if attempts else None

        assert await eventually(tried) == "ConnectError"
        back = Starlette(routes=[Route("/hook", app.receive, methods=["POST"])])
        async with serving({port: back}):
            assert await app.ended(message_id) is MessageState.DELIVERED
    assert len(app.told) == 1


async def test_a_redirect_is_not_followed_and_a_long_answer_not_read(world: World) -> None:
    elsewhere: list[str] = []

    async def redirect(_request: Request) -> Response:
        return RedirectResponse("/elsewhere", status_code=307)

    async def moved(_request: Request) -> Response:
        elsewhere.append("called")
        return Response()

    async def endless(_request: Request) -> Response:
        async def more() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 4096
                await asyncio.sleep(0)

        return StreamingResponse(more())

    port = free_port()
    paths = {"/redirect": redirect, "/elsewhere": moved, "/endless": endless}
    routes = [Route(path, endpoint, methods=["POST"]) for path, endpoint in paths.items()]
    codes = {}
    async with serving({port: Starlette(routes=routes)}):
        for path in ("/redirect", "/endless"):
            told = world.with_settings(app_webhook_url=f"http://127.0.0.1:{port}{path}")
            app = MerchantApp(told)
            async with told.worker():
                message_id = await recorded(world)
                await app.outbox.send_message(message_id)

                async def tried(app: MerchantApp = app, tried_id: str = message_id) -> int | None:
                    attempts = await app.attempts(tried_id)
                    return attempts[0].status_code if attempts else None

                codes[path] = await eventually(tried)
    assert codes == {"/redirect": 307, "/endless": 200}
    assert elsewhere == []


async def test_the_sweep_sends_what_nobody_is_sending(app: MerchantApp) -> None:
    lost = await recorded(app.world)
    await recorded(app.world)  # just now: its workflow may be on its way
    await app.world.execute(
        "UPDATE messages SET created_at = now() - interval '10 minutes' "  # noqa: S608 - our own ID
        f"WHERE id = '{lost}'"
    )
    async with app.world.worker():
        report = await app.world.sweep()
        await app.in_state(lost, MessageState.DELIVERED)
    assert report.sent == 1
    assert [told.id for told in app.told] == [lost]


async def test_what_temporal_does_not_accept_is_recorded_and_waits_for_the_sweep(
    app: MerchantApp,
) -> None:
    world = app.world
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
        granted = await app.message_of(session_id)
    away = await connect(f"127.0.0.1:{free_port()}", "default", lazy=True)
    access = Access(world.database, Messages(WorkflowOutbox(away, "none"), wanted=True))
    revoked = await access.revoke(granted.data["id"], by="ops@example.com", because="a test")
    assert revoked is not None
    message = await app.message_of(session_id)
    assert (message.type, message.state) == ("entitlement.revoked", MessageState.PENDING)


async def test_what_was_erased_is_sent_to_nobody(app: MerchantApp) -> None:
    app.answers = [Answer(status=500, delay_s=0.5)]
    async with app.world.worker():
        message_id = await recorded(app.world)
        await app.outbox.send_message(message_id)

        async def asked() -> bool | None:
            return bool(app.told) or None

        await eventually(asked)  # and not answered yet
        await app.world.execute(
            f"UPDATE messages SET data = '{{}}', state = 'failed' WHERE id = '{message_id}'"  # noqa: S608 - our own ID
        )
        assert await app.ended(message_id) is MessageState.FAILED
        again = await app.world.api.post(f"/messages/{message_id}/redeliver", headers=BEARER)
    assert again.status_code == 410
    assert len(app.told) == 1
    await app.in_state(message_id, MessageState.FAILED)


async def test_the_log_is_for_operators_and_knows_its_messages(world: World) -> None:
    first, second = await recorded(world), await recorded(world)
    for path in ("/messages", f"/messages/{first}"):
        assert (await world.api.get(path)).status_code == 401
    assert (await world.api.post(f"/messages/{first}/redeliver")).status_code == 401
    page = await world.api.get("/messages", params={"before": second}, headers=BEARER)
    ids = [message["id"] for message in page.json()]
    assert ids[0] == first
    assert second not in ids
    for unknown in ("msg_" + "0" * 32, "msg_%00", "nonsense"):
        assert (await world.api.get(f"/messages/{unknown}", headers=BEARER)).status_code == 404
        again = await world.api.post(f"/messages/{unknown}/redeliver", headers=BEARER)
        assert again.status_code == 404
