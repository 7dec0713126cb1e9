"""A load balancer before several APIs: it asks each whether it is ready, as real ones do."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from tests.harness.relay import relay

PROBE_EVERY_S = 0.1


@asynccontextmanager
async def balancing(port: int, targets: Sequence[int]) -> AsyncIterator[None]:
    """Hands each connection to the next of these ports that is ready, for as long as the block."""
    ready = set(targets)
    turns = itertools.cycle(targets)

    async def probe(target: int) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{target}/readyz")
                except httpx.HTTPError:
                    ready.discard(target)
                else:
                    (ready.add if answer.is_success else ready.discard)(target)
                await asyncio.sleep(PROBE_EVERY_S)

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for target in itertools.islice(turns, len(targets)):
            if target in ready:
                try:
                    to_reader, to_writer = await asyncio.open_connection("127.0.0.1", target)
                except OSError:
                    continue
                await asyncio.gather(relay(reader, to_writer), relay(to_reader, writer))
                return
        writer.close()

    server = await asyncio.start_server(hand_on, "127.0.0.1", port)
    probes = [asyncio.create_task(probe(target)) for target in targets]
    try:
        yield
    finally:
        server.close()
        for each in probes:
            each.cancel()
        await asyncio.wait(probes)
