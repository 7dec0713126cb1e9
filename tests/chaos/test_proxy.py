"""The proxy on each wire of a chaos run."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from chaos.proxy import Proxy, serving
from local.ports import LOCALHOST, free_port


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """One before a server that says everything again."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    opened = Proxy(free_port())
    server = await asyncio.start_server(echo, LOCALHOST, opened.target)
    async with server, serving(opened):
        yield opened


async def say(proxy: Proxy, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOCALHOST, proxy.port)
    writer.write(line)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_it_passes_on_and_counts(proxy: Proxy) -> None:
    proxy.watch(b"452 ")
    assert await say(proxy, b"452 no room\n") == b"452 no room\n"
    assert await say(proxy, b"250 kept\n") == b"250 kept\n"
    assert (proxy.requests, proxy.seen()) == (2, 1)


async def test_it_delays_either_way(proxy: Proxy) -> None:
    proxy.delay_s = 0.1
    begun = time.monotonic()
    assert await say(proxy, b"late\n") == b"late\n"
    assert time.monotonic() - begun >= 0.2


async def test_it_cuts_connections_off_and_takes_new_ones(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection(LOCALHOST, proxy.port)
    writer.write(b"here\n")
    assert await reader.readline() == b"here\n"
    assert proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert await say(proxy, b"again\n") == b"again\n"


async def test_it_refuses_while_the_server_is_down() -> None:
    alone = Proxy(free_port())
    async with serving(alone):
        reader, writer = await asyncio.open_connection(LOCALHOST, alone.port)
        assert await reader.read() == b""
        writer.close()
