"""The real stack, all of it, once: it answers, stays on this machine, and serves the demo."""

import asyncio
import http.client
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from local.demo import Demo
from local.process import PartFailedError
from local.stack import Stack

SERVERS = ("postgres", "temporal", "carrier", "inbox", "stripe", "worker", "api")


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    # What Temporal keeps is encrypted, as it is with live orders.
    async with Stack(payload_keys=b64encode(bytes(32)).decode()) as running:
        yield running


def processes(stack: Stack) -> Iterator[psutil.Process]:
    for name in SERVERS:
        process = psutil.Process(stack.pid(name))
        yield process
        yield from process.children(recursive=True)


async def test_every_address_that_people_get_answers(stack: Stack) -> None:
    assert set(stack.urls) == {"Shop", "Mail inbox", "Carrier", "Merchant", "Temporal", "API"}
    async with httpx.AsyncClient() as client:
        for url in stack.urls.values():
            assert (await client.get(url)).status_code == 200, url


async def test_everything_listens_on_this_machine_only(stack: Stack) -> None:
    addresses = {
        connection.laddr.ip
        for process in processes(stack)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


async def test_a_connection_may_rest_for_longer_than_clients_keep_it(stack: Stack) -> None:
    ports = [urlsplit(stack.urls[name]).port for name in ("API", "Shop")]
    with ExitStack() as exits:
        connections = [
            exits.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port)))
            for port in ports
        ]
        for seconds in (0, 6):
            # One that the server has closed fails here.
            await asyncio.sleep(seconds)
            for connection in connections:
                connection.request("HEAD", "/")
                connection.getresponse().read()


async def test_killed_worker_comes_back(stack: Stack) -> None:
    before = stack.pid("worker")
    await stack.kill("worker")
    assert not psutil.pid_exists(before)
    await stack.start("worker")
    assert stack.pid("worker") != before


async def test_demo_shows_the_way_of_an_order(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    await Demo(stack.environment, stack.urls).run()
    out = capsys.readouterr().out
    steps = ["pays by card", "workflow begins", "sync_order begins", "book_shipment begins"]
    steps += ["parcel LP", "send_receipt begins", "mail “", "workflow completed"]
    positions = [out.find(step) for step in steps]
    assert -1 not in positions, out
    assert positions == sorted(positions), out
    assert "webhook checkout.session.completed acknowledged" in out
    assert "landing page shown (HTTP 200)" in out
    assert "The order is fulfilled" in out
    assert stack.urls["Carrier"] + "/track/LP" in out


async def test_part_that_cannot_start_leaves_nothing_of_the_stack() -> None:
    # Without PostgreSQL nothing can be migrated.
    stack = Stack(parts={"carrier", "migrate"})
    with pytest.raises(PartFailedError, match="migrate ended with exit code"):
        async with stack:
            pass
    with pytest.raises(ValueError, match="carrier is not running"):
        stack.pid("carrier")
