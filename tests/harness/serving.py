"""Runs ASGI applications on real ports inside the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

KEEP_ALIVE_S = 600
"""Longer than any test: a client that reuses a connection just as it is closed gets an error."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves Ctrl-C to pytest."""
        yield


@asynccontextmanager
async def serving(apps: Mapping[int, ASGIApp]) -> AsyncIterator[None]:
    """Serves applications, each on its port of 127.0.0.1, for as long as the block."""
    servers = [
        _Server(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=port,
                log_config=None,
                ws="none",
                lifespan="on",
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        for port, app in apps.items()
    ]
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    try:
        while not all(server.started for server in servers):
            for task in tasks:
                if task.done():
                    task.result()
                    raise RuntimeError("a server ended before it began")
            await asyncio.sleep(0.005)
        yield
    finally:
        # All at once: each takes two ticks of a tenth of a second to notice.
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)
