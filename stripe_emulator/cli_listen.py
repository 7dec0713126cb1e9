"""`stripe listen`: the CLI asks for a session, then takes events over a websocket.

Stripe does not document this; the messages are those that the official CLI reads and writes.
The CLI posts each event to the developer's server itself and sends the answer back.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .compatibility import event_at
from .config import API_VERSION
from .emulator import Emulator
from .ids import new_id
from .operations import Call, operation
from .store import StripeObject
from .targets import ANSWER_TIMEOUT_S, BODY_LIMIT, Answer

SUBPROTOCOL: Final = "stripecli-devproxy-v1"
FEATURE: Final = "webhooks"
RECONNECT_DELAY_S: Final = 3600
_SESSION_SHAPE: Final = {
    "object": {
        "device_name": "string",
        "device_token": "string",
        "expand": {"array": "string"},
        "filters": "string",
        "forward_connect_to_url": "string",
        "forward_to_url": "string",
        "websocket_features": {"array": "string"},
    }
}


def listen_secret(api_key: str) -> str:
    """The secret that signs what the CLI forwards: the same on every run with this key."""
    return f"whsec_{hashlib.sha256(api_key.encode()).hexdigest()}"


@dataclass(slots=True)
class CliTarget:
    """A connected `stripe listen` as something that takes events."""

    socket: WebSocket
    id: str
    url: str
    secret: str
    forwards: bool
    retries: bool = False
    waiting: dict[str, asyncio.Future[Answer]] = field(default_factory=dict)

    def secrets(self) -> list[str]:
        """The one secret that the CLI printed."""
        return [self.secret]

    def wants(self, event: StripeObject) -> bool:  # noqa: ARG002 - the CLI filters by itself
        """Every event."""
        return True

    def rendered(self, event: StripeObject) -> StripeObject:
        """The event as of the emulator's own version."""
        return event_at(event, API_VERSION)

    async def send(self, event: StripeObject, headers: dict[str, str], body: bytes) -> Answer:
        """Send one event down the socket and wait for what the developer's server said."""
        conversation = new_id("wc")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting[conversation] = answer
        message = {
            "type": "webhook_event",
            "endpoint": {"api_version": None},
            "event_payload": body.decode(),
            "http_headers": headers,
            "webhook_conversation_id": conversation,
            "webhook_id": event["id"],
        }
        try:
            await self.socket.send_text(json.dumps(message))
            return await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)
        except (TimeoutError, WebSocketDisconnect, RuntimeError) as error:
            return Answer(error=f"stripe listen did not answer: {error!r}")
        finally:
            self.waiting.pop(conversation, None)

    def take(self, message: dict[str, Any]) -> None:
        """Take a message of the CLI: an answer, or, when it only prints, a receipt."""
        answer = self.waiting.get(str(message.get("webhook_conversation_id")))
        if answer is None or answer.done():
            return
        if message.get("type") == "webhook_response":
            answer.set_result(
                Answer(
                    status=int(message.get("status", 0)),
                    headers=dict(message.get("http_headers") or {}),
                    body=str(message.get("body", ""))[:BODY_LIMIT],
                )
            )
        elif message.get("type") == "event_ack" and not self.forwards:
            answer.set_result(Answer(status=200, body="printed by stripe listen"))


class CliListen:
    """The sessions of `stripe listen` and their websockets."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def route(self) -> WebSocketRoute:
        """Where the CLI connects to."""
        return WebSocketRoute("/subscribe/{account}", self._subscribe)

    async def _subscribe(self, socket: WebSocket) -> None:
        session_id = socket.headers.get("websocket-id", "")
        found = self._emulator.store.platform.find(session_id)
        if found is None:
            await socket.close(code=4401)
            return
        await socket.accept(subprotocol=SUBPROTOCOL)
        target = CliTarget(
            socket=socket,
            id=session_id,
            url=f"stripe listen \N{RIGHTWARDS ARROW} {found['_forward_to'] or 'printed'}",
            secret=found["secret"],
            forwards=bool(found["_forward_to"]),
        )
        self._emulator.listeners[session_id] = target
        try:
            while True:
                message = json.loads(await socket.receive_text())
                if isinstance(message, dict):
                    target.take(message)
        except (WebSocketDisconnect, json.JSONDecodeError):
            return
        finally:
            self._emulator.listeners.pop(session_id, None)


@operation("POST /v1/stripecli/sessions", _SESSION_SHAPE)
def create_session(call: Call) -> StripeObject:
    """Give the CLI the address of its websocket and the secret to print."""
    platform = call.emulator.store.platform
    session_id = new_id("clis")
    socket_base = call.base_url.replace("http", "ws", 1)
    return platform.add(
        {
            "id": session_id,
            "object": "stripecli.session",
            "default_version": API_VERSION,
            "device_token": "",
            "display_connect_filter_warning": False,
            "latest_version": API_VERSION,
            "reconnect_delay": RECONNECT_DELAY_S,
            "secret": listen_secret(call.emulator.config.api_key or platform.id),
            "websocket_authorized_feature": FEATURE,
            "websocket_id": session_id,
            "websocket_url": f"{socket_base}/subscribe/{platform.id}",
            "_forward_to": call.params.get("forward_to_url", ""),
        }
    )
