"""Carries a plan out: each fault at its time, on one target one at a time."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.faults import FAULTS, Place
from chaos.plan import Kind, Planned, Target

HIT_PATIENCE_S = 20.0
"""How much longer a fault goes on that has not hit anything yet."""
LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Happened:
    """A fault that is over.

    Attributes:
        kind: What went wrong.
        target: With what.
        began_at: Seconds since 1970.
        ended_at: As that.
        hits: How often it has hit.
    """

    kind: Kind
    target: Target
    began_at: float
    ended_at: float
    hits: int


async def storm(
    place: Place, plan: Sequence[Planned], say: Callable[[str], None]
) -> list[Happened]:
    """Has all of it happen; returns when the last fault has ended, and what it hit is back."""
    busy: defaultdict[Target, asyncio.Lock] = defaultdict(asyncio.Lock)
    happened: list[Happened] = []
    begun = time.monotonic()

    async def carry_out(planned: Planned) -> None:
        await asyncio.sleep(planned.at_s - (time.monotonic() - begun))
        async with busy[planned.target]:
            say(str(planned))
            happened.append(await _carry_out(place, planned))

    async with asyncio.TaskGroup() as group:
        for planned in plan:
            group.create_task(carry_out(planned))
    return happened


async def _carry_out(place: Place, planned: Planned) -> Happened:
    began_at = time.time()
    async with FAULTS[planned.kind](place, planned) as hits:
        await asyncio.sleep(planned.lasts_s)
        count = await hits()
        give_up_at = time.monotonic() + HIT_PATIENCE_S
        while not count and time.monotonic() < give_up_at:
            await asyncio.sleep(LOOK_EVERY_S)
            count = await hits()
    return Happened(planned.kind, planned.target, began_at, time.time(), count)
