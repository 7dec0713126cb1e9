"""One line in the log for each request, by its route: paths and queries hold IDs and tokens."""

import logging
import time

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, bound_contextvars

from domain.ids import is_checkout_session_id

logger = logging.getLogger(__name__)

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Are asked for every few seconds; only their failures are worth a line."""
_FIRST_ERROR = 400


async def name_session(request: Request) -> None:
    """Has each line that a request leads to name the session that its URL names."""
    named = request.path_params.get("session_id") or request.query_params.get("session_id", "")
    if is_checkout_session_id(named):
        bind_contextvars(session_id=named)


class RequestLog:
    """ASGI middleware that logs method, route, status and duration of each request.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, and logs it when all is sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # What an exception that nobody handles becomes.
        status = 500
        began = time.monotonic()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if scope["path"] not in PROBES or status >= _FIRST_ERROR:
                route = route_of(scope)
                with bound_contextvars(
                    method=scope["method"],
                    route=route,
                    status=status,
                    duration_ms=round((time.monotonic() - began) * 1000),
                ):
                    logger.info("%s %s is answered %d", scope["method"], route, status)


def route_of(scope: Scope) -> str:
    """A request's route, as it is written in the code; `none` where none fits."""
    return getattr(scope.get("route"), "path", "none")
