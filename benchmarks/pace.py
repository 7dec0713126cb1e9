"""In which rhythm orders are handed in: at a fixed rate, or always so many on their way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Submitted:
    """An order that was durably accepted.

    Attributes:
        workflow_id: The workflow that works on it.
        sent_at: When it was handed in, in seconds since 1970.
        acks_ms: How long each acknowledgment took; a duplicate delivery has one too.
    """

    workflow_id: str
    sent_at: float
    acks_ms: tuple[float, ...]


Submit = Callable[[], Awaitable[Submitted]]
Finish = Callable[[str], Awaitable[None]]


async def at_rate(submit: Callable[[], Awaitable[T]], count: int, rate_per_s: float) -> list[T]:
    """Hands orders in at fixed times, however long the ones before take."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number in range(count):
            await asyncio.sleep(begun + number / rate_per_s - loop.time())
            tasks.append(group.create_task(_submit(submit)))
    return [task.result() for task in tasks]


async def in_closed_loop(submit: Submit, finish: Finish, count: int, width: int) -> list[Submitted]:
    """Keeps `width` orders on their way: one that is finished makes room for the next."""
    submitted: list[Submitted] = []
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            order = await submit()
            submitted.append(order)
            await finish(order.workflow_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work())
    return submitted


async def at_most(width: int, ask: Callable[[S], Awaitable[T]], subjects: Iterable[S]) -> list[T]:
    """Asks about each of them, so many at a time."""
    slots = asyncio.Semaphore(width)

    async def one(subject: S) -> T:
        async with slots:
            return await ask(subject)

    return list(await asyncio.gather(*map(one, subjects)))


async def _submit(submit: Callable[[], Awaitable[T]]) -> T:
    return await submit()
