"""Runs ASGI applications on real ports inside the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from socket import socket

import uvicorn
from starlette.types import ASGIApp

LOOK_S = 0.005
KEEP_ALIVE_S = 600
"""Longer than any test: a client that reuses a connection just as it is closed gets an error."""


class _Server(uvicorn.Server):
    """Ends at once, where uvicorn looks every tenth of a second, and leaves clients one more."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_end = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # it makes the headers that all answers have
        await self.told_to_end.wait()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:  # noqa: ARG002 - theirs
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - theirs
            await asyncio.sleep(LOOK_S)
        await self.lifespan.shutdown()

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
            await asyncio.sleep(LOOK_S)
        yield
    finally:
        for server in servers:
            server.told_to_end.set()
        await asyncio.gather(*tasks)
