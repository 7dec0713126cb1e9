"""The faults: each a context that begins one, through the real thing, and ends it.

What a context yields tells how often the fault has hit so far: a process that is down, a request
that was let wait, an answer that says no. One that has hit nothing proves nothing.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import psutil
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from chaos.customers import Customers, patiently
from chaos.merchant import Merchant
from chaos.plan import Kind, Planned, Target
from chaos.site import Site
from local.faults import Faults

Hits = Callable[[], Awaitable[int]]
"""How often a fault has hit so far."""

RESET_EVERY_S = 0.4
DOUBLE_EVERY_S = 0.5
DOUBLED_AT_ONCE = 5
"""Events that are sent again, each as itself and under another ID."""
FORGOTTEN_AT_ONCE = 2
"""Orders whose retention passes in one fault."""
FORGET_PATIENCE_S = 30.0
_CLOSED = "WorkflowType = 'FulfillCheckout' AND ExecutionStatus = 'Completed'"
_NO_ROOM = {Target.MAIL: b"452", Target.CARRIER: b"HTTP/1.1 500"}
"""What a system outside answers that cannot write."""


@dataclass
class Place:
    """What faults work on.

    Attributes:
        site: The processes, and the wires between them.
        merchant: The merchant's own service.
        customers: Who know which events there were.
        temporal: A client of the server itself.
        http: For what the stand-ins are told.
        forgotten: The orders whose workflow Temporal has forgotten.
    """

    site: Site
    merchant: Merchant
    customers: Customers
    temporal: Client
    http: httpx.AsyncClient
    forgotten: set[str] = field(default_factory=set)

    async def tell_stripe(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Calls the control API of Stripe's stand-in, which may be away just now."""
        return await patiently(lambda: self.customers.shop.control(method, path, body))

    async def deliveries_in(self, state: str) -> set[str]:
        """Which of Stripe's latest deliveries are in a state."""
        listed = await self.tell_stripe("GET", "/deliveries")
        return {each["id"] for each in listed["data"] if each["state"] == state}


Fault = Callable[[Place, Planned], AbstractAsyncContextManager[Hits]]


@asynccontextmanager
async def _killed(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    await place.site.kill(planned.target)
    try:
        yield _is_down(place, planned.target)
    finally:
        await place.site.let_run(planned.target)


@asynccontextmanager
async def _restarted(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    await place.site.stop(planned.target)
    try:
        yield _is_down(place, planned.target)
    finally:
        await place.site.let_run(planned.target)


@asynccontextmanager
async def _paused(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    processes = place.site.pids(planned.target)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()

    async def stopped() -> int:
        return int(any(each.status() == psutil.STATUS_STOPPED for each in processes))

    try:
        yield stopped
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@asynccontextmanager
async def _slowed(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    target, delay_ms = planned.target, planned.level
    if target is Target.MERCHANT:
        asked = _since(lambda: place.merchant.asked)
        async with _told(place, target, {"delay_ms": delay_ms}):
            yield asked
        return
    proxy = place.site.proxies[target]
    passed = _since(lambda: proxy.requests)
    if target in {Target.POSTGRES, Target.TEMPORAL}:
        proxy.delay_s = delay_ms / 1000
        try:
            yield passed
        finally:
            proxy.delay_s = 0
        return
    async with _told(place, target, {"delay_ms": delay_ms}):
        yield passed


@asynccontextmanager
async def _failing(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    target, status = planned.target, planned.level
    if target is Target.MERCHANT:
        failed = _since(lambda: place.merchant.failed)
        async with _told(place, target, {"status": status}):
            yield failed
        return
    answer = f"{status}" if target is Target.MAIL else f"HTTP/1.1 {status}"
    async with _told(place, target, {"status": status}):
        yield _seen(place, target, answer.encode())


@asynccontextmanager
async def _answers_lost(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    told = {"status": 500, "after_booking": True}
    async with _told(place, planned.target, told):
        yield _seen(place, planned.target, b"HTTP/1.1 500")


@asynccontextmanager
async def _told(place: Place, target: Target, faults: dict[str, Any]) -> AsyncIterator[None]:
    """Has a stand-in go wrong as it is told, for as long as the block."""
    match target:
        case Target.MERCHANT:
            place.merchant.faults = Faults(**faults)
            try:
                yield
            finally:
                place.merchant.faults = Faults()
        case Target.STRIPE:
            await place.tell_stripe("POST", "/faults", {"path": "^/v1/", **faults})
            try:
                yield
            finally:
                await place.tell_stripe("DELETE", "/faults")
        case _:
            name, path = {
                Target.CARRIER: ("Carrier", "/faults"),
                Target.MAIL: ("Mail inbox", "/api/faults"),
            }[target]
            url = f"{place.site.urls[name]}{path}"

            async def tell(method: str, body: object = None) -> None:
                (await place.http.request(method, url, json=body)).raise_for_status()

            # It may not be back yet from the fault before.
            await patiently(lambda: tell("POST", faults))
            try:
                yield
            finally:
                await patiently(lambda: tell("DELETE"))


@asynccontextmanager
async def _full(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    """Lets a process write no byte into any file, as on a disk without room.

    PostgreSQL ends by that, as it does where it cannot write its log of changes, and is started
    again when there is room.
    """
    target = planned.target
    processes = place.site.pids(target)
    user = place.site.processes[target].part.user
    place.site.hold_down(target)
    await _limit_files(processes, user, "0")
    try:
        if target in _NO_ROOM:
            yield _seen(place, target, _NO_ROOM[target])
        else:
            yield _is_down(place, target)
    finally:
        await _limit_files(processes, user, "unlimited")
        await place.site.let_run(target)


async def _limit_files(processes: list[psutil.Process], user: str | None, size: str) -> None:
    """Sets how large a file each process may make, as the user whose processes they are."""
    for process in processes:
        if process.is_running():
            words = ("prlimit", "--pid", str(process.pid), f"--fsize={size}:")
            others: list[str] | None = [] if user else None
            run = partial(subprocess.run, words, user=user, group=user, extra_groups=others)
            await asyncio.to_thread(run, check=False)


@asynccontextmanager
async def _reset(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    proxy = place.site.proxies[planned.target]
    cut = proxy.reset()

    async def keep_cutting() -> None:
        nonlocal cut
        while True:
            await asyncio.sleep(RESET_EVERY_S)
            cut += proxy.reset()

    async def so_far() -> int:
        return cut

    async with _meanwhile(keep_cutting()):
        yield so_far


@asynccontextmanager
async def _dropped(place: Place, planned: Planned) -> AsyncIterator[Hits]:  # noqa: ARG001 - as all
    before = await place.deliveries_in("dropped")

    async def so_far() -> int:
        return len(await place.deliveries_in("dropped") - before)

    await place.tell_stripe("POST", "/deliveries", {"mode": "drop"})
    try:
        yield so_far
    finally:
        await place.tell_stripe("POST", "/deliveries", {"mode": "normal"})


@asynccontextmanager
async def _reordered(place: Place, planned: Planned) -> AsyncIterator[Hits]:  # noqa: ARG001 - as all
    async def held() -> int:
        return len(await place.deliveries_in("held"))

    await place.tell_stripe("POST", "/deliveries", {"mode": "hold"})
    try:
        yield held
    finally:
        released = {"mode": "normal", "order": "newest_first"}
        await place.tell_stripe("POST", "/deliveries", released)


@asynccontextmanager
async def _doubled(place: Place, planned: Planned) -> AsyncIterator[Hits]:  # noqa: ARG001 - as all
    sent = 0

    async def keep_doubling() -> None:
        nonlocal sent
        while True:
            for event in list(place.customers.events.values())[-DOUBLED_AT_ONCE:]:
                await _send_again(place, event)
                sent += 2
            await asyncio.sleep(DOUBLE_EVERY_S)

    async def so_far() -> int:
        return sent

    async with _meanwhile(keep_doubling()):
        yield so_far


async def _send_again(place: Place, event: str) -> None:
    """Has an event delivered once more, and a second one about the same change."""
    for how in ("resend", "duplicate"):
        await place.tell_stripe("POST", f"/events/{event}/{how}")


@asynccontextmanager
async def _forgotten(place: Place, planned: Planned) -> AsyncIterator[Hits]:
    """Has Temporal forget closed orders; then their event comes once more, and their customer."""
    hits = _since(lambda: len(place.forgotten))

    async def keep_forgetting() -> None:
        while await hits() < FORGOTTEN_AT_ONCE:
            with suppress(RPCError, TimeoutError):
                await _forget_one(place)
            await asyncio.sleep(planned.lasts_s / FORGOTTEN_AT_ONCE)

    async with _meanwhile(keep_forgetting()):
        yield hits


async def _forget_one(place: Place) -> None:
    async for closed in place.temporal.list_workflows(_CLOSED):
        event = place.customers.events.get(closed.id)
        if event is None or closed.id in place.forgotten:
            continue
        await _forget(place.temporal, closed.id, closed.run_id)
        await _send_again(place, event)
        place.forgotten.add(closed.id)
        await place.customers.land(closed.id)
        return


async def _forget(client: Client, workflow_id: str, run_id: str) -> None:
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        )
    )
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    async with asyncio.timeout(FORGET_PATIENCE_S):
        with suppress(RPCError):
            while True:
                await handle.describe()
                await asyncio.sleep(0.2)


def _since(count: Callable[[], int]) -> Hits:
    """How far something has been counted from now on."""
    before = count()

    async def since() -> int:
        return count() - before

    return since


def _is_down(place: Place, target: Target) -> Hits:
    async def down() -> int:
        return int(place.site.is_down(target))

    return down


def _seen(place: Place, target: Target, beginning: bytes) -> Hits:
    proxy = place.site.proxies[target]
    proxy.watch(beginning)

    async def seen() -> int:
        return proxy.seen()

    return seen


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does work beside the block, which ends it; raises what the work has raised."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


FAULTS: dict[Kind, Fault] = {
    Kind.KILL: _killed,
    Kind.PAUSE: _paused,
    Kind.RESTART: _restarted,
    Kind.SLOW: _slowed,
    Kind.FAIL: _failing,
    Kind.LOST_ANSWER: _answers_lost,
    Kind.FULL_DISK: _full,
    Kind.RESET: _reset,
    Kind.DROP: _dropped,
    Kind.DUPLICATE: _doubled,
    Kind.REORDER: _reordered,
    Kind.RETENTION: _forgotten,
}
"""How each kind is made."""
