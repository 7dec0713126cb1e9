"""Puts the emulator together: API, pages, control API, and what runs beside them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .api import Api
from .cli_listen import CliListen
from .clock import ClockMiddleware
from .config import EmulatorConfig
from .control import Control
from .emulator import Emulator
from .pages.dashboard import DashboardPages
from .pages.embedded import EmbeddedPages
from .pages.pay import PayPages
from .pages.shop import ShopPages
from .resources import event_destinations, table, webhook_endpoints
from .samples import add_samples
from .targets import Target

_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]
"""All but the first three are answered by an error, in Stripe's form."""
_VERSIONS = ["v1", "v2"]
"""Of v2 there are events and their destinations."""


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _targets(emulator: Emulator) -> Iterator[Target]:
    """Everything that events are delivered to over HTTP."""
    yield from webhook_endpoints.targets(emulator)
    yield from event_destinations.targets(emulator)


def create_app(config: EmulatorConfig) -> Starlette:
    """An ASGI application that is one emulator.

    Serve it with its lifespan on (uvicorn's default): sessions expire and bank debits end
    only while that runs. Bind it to the local machine; it takes no care of strangers.
    """
    assert table.OPERATIONS  # noqa: S101 - importing the table filled it
    emulator = Emulator(config, _targets)
    emulator.load()

    def prepare() -> None:
        if config.webhook_url and config.webhook_secret:
            webhook_endpoints.ensure_endpoint(emulator, config.webhook_url, config.webhook_secret)
        add_samples(emulator)

    def restart() -> None:
        emulator.reset()
        prepare()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        prepare()
        emulator.resume_deliveries()
        running = asyncio.create_task(emulator.run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await emulator.close()

    api = Api(emulator)

    async def answer(request: Request) -> Response:
        return await api(request)

    return Starlette(
        routes=[
            Route("/healthz", _healthz),
            CliListen(emulator).route(),
            *Control(emulator, restart).routes(),
            *DashboardPages(emulator).routes(),
            *ShopPages(emulator).routes(),
            *PayPages(emulator).routes(),
            *EmbeddedPages(emulator).routes(),
            *(
                Route(f"/{version}/{{path:path}}", answer, methods=_METHODS)
                for version in _VERSIONS
            ),
        ],
        middleware=[Middleware(ClockMiddleware, clock=emulator.clock)],
        lifespan=lifespan,
    )
