"""A merchant's own application on a real port, told by webhooks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.app import create_app
from database.messages import read_attempts, read_message, read_messages
from domain.messages import DeliveryAttempt, Message, MessageState
from local.ports import free_port
from tests.harness.service import Answer
from tests.harness.serving import serving
from tests.harness.world import STANDARD_WEBHOOKS_SECRET, World, eventually
from workflows.outbox import WorkflowOutbox

TAKEN = Answer(status=204)


@dataclass(frozen=True)
class Told:
    """One webhook that came in, verified by the reference library."""

    id: str
    body: dict[str, Any]


class MerchantApp:
    """Hears webhooks, and answers as it is told.

    Attributes:
        world: One whose worker and API tell this application.
        answers: What it says to the next webhooks; the last one to all that follow.
        told: What it has heard.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.answers = [TAKEN]
        self.told: list[Told] = []

    async def receive(self, request: Request) -> Response:
        body = Webhook(STANDARD_WEBHOOKS_SECRET).verify(await request.body(), dict(request.headers))
        self.told.append(Told(request.headers["webhook-id"], body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(answer.delay_s)
        return answer.response()

    @property
    def outbox(self) -> WorkflowOutbox:
        return WorkflowOutbox(self.world.client, self.world.settings.temporal_task_queue)

    async def message_of(self, session_id: str) -> Message:
        """The newest message about an order."""
        async with self.world.database.transaction() as connection:
            newest = await read_messages(connection, None, None, 100)
        return next(message for message in newest if message.session_id == session_id)

    async def in_state(self, message_id: str, state: MessageState) -> None:
        """Waits until a message is in a state."""

        async def found() -> bool | None:
            async with self.world.database.transaction() as connection:
                message = await read_message(connection, message_id)
            return True if message is not None and message.state is state else None

        await eventually(found)

    async def attempts(self, message_id: str) -> tuple[DeliveryAttempt, ...]:
        async with self.world.database.transaction() as connection:
            return await read_attempts(connection, message_id)

    async def ended(self, message_id: str) -> MessageState:
        """Waits for the end of a message's workflow."""
        handle = self.world.client.get_workflow_handle(
            f"message:{message_id}", result_type=MessageState
        )
        state: MessageState = await handle.result()
        return state


@asynccontextmanager
async def merchant_app(world: World) -> AsyncIterator[MerchantApp]:
    """Runs one for as long as the block."""
    port, api_port = free_port(), free_port()
    told = world.with_settings(app_webhook_url=f"http://127.0.0.1:{port}/hook")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api_port}", timeout=30) as api:
        app = MerchantApp(replace(told, api=api))
        routes = [Route("/hook", app.receive, methods=["POST"])]
        async with serving({port: Starlette(routes=routes), api_port: create_app(told.settings)}):
            yield app
