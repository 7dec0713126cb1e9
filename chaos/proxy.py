"""A TCP proxy between two programs: it cuts connections, delays what passes, and counts it."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from local.ports import LOCALHOST, free_port

_CHUNK_BYTES = 65_536
_NO_GOODBYE = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: to close such a socket sends RST, and throws away what was not sent."""


@dataclass
class Proxy:
    """Passes on what goes between its clients and one server.

    Attributes:
        target: The server's port on this machine.
        port: Its own.
        delay_s: How much later everything arrives, either way.
        requests: How many chunks clients have sent through it.
    """

    target: int
    port: int = field(default_factory=free_port)
    delay_s: float = 0
    requests: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _watched: bytes | None = None
    _seen: int = 0

    @property
    def address(self) -> str:
        """Where clients connect to."""
        return f"{LOCALHOST}:{self.port}"

    def watch(self, beginning: bytes) -> None:
        """Counts from now on the server's answers that begin so."""
        self._watched, self._seen = beginning, 0

    def seen(self) -> int:
        """How many such answers have passed."""
        return self._seen

    def reset(self) -> int:
        """Cuts all connections off, without a goodbye; returns how many."""
        cut = len(self._open)
        for writer in list(self._open):
            wire: socket.socket = writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_GOODBYE)
            writer.transport.abort()
        return cut // 2

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one client."""
        try:
            to_reader, to_writer = await asyncio.open_connection(LOCALHOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._pass_on(reader, to_writer, asked=True),
                self._pass_on(to_reader, writer, asked=False),
            )
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asked: bool
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if asked:
                    self.requests += 1
                elif self._watched is not None and chunk.startswith(self._watched):
                    self._seen += 1
                await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            # Half of a connection may close before the other, as HTTP and gRPC do.
            writer.write_eof()


@asynccontextmanager
async def serving(*proxies: Proxy) -> AsyncIterator[None]:
    """Runs proxies for as long as the block."""
    tasks: set[asyncio.Task[None]] = set()

    def serve(proxy: Proxy) -> asyncio.Task[asyncio.Server]:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await proxy.take(reader, writer)

        return asyncio.ensure_future(asyncio.start_server(take, LOCALHOST, proxy.port))

    servers = await asyncio.gather(*map(serve, proxies))
    try:
        yield
    finally:
        for server in servers:
            server.close()
        for proxy in proxies:
            proxy.reset()
        if tasks:
            await asyncio.wait(tasks)
