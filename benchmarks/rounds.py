"""Measurements in turns: the product, the baseline, and both again, round after round."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cpu import CpuMeter
from benchmarks.figures import Figures, figures_of, median_figures
from benchmarks.pace import Submit, at_rate, in_closed_loop
from benchmarks.watch import Watch

RATE_PER_S = 5.0
WIDTH = 32
"""How many orders the closed loop keeps on their way."""
WARM_UP = 48
SETTLE_S = 1.0
"""Before a measurement, for what the server still does about the one before."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: How often each measurement is repeated.
        at_rate: Orders of one measurement at `RATE_PER_S`.
        closed_loop: Orders of one measurement in the closed loop.
        pages: Orders whose end is waited for on a page, and as many again on an open page.
    """

    rounds: int
    at_rate: int
    closed_loop: int
    pages: int

    @property
    def cards(self) -> int:
        """How many orders all of it takes that are paid at once."""
        return WARM_UP + self.rounds * (self.at_rate + self.closed_loop) + self.pages

    @property
    def orders(self) -> int:
        """How many orders all of it takes."""
        return self.cards + self.pages


FULL = Size(rounds=3, at_rate=75, closed_loop=256, pages=100)
QUICK = Size(rounds=1, at_rate=15, closed_loop=128, pages=15)


class Contestant:
    """The product or the baseline.

    Args:
        submit: Hands in its next order.
        meter: Knows the processes that work for it.
        watch: Knows when orders are closed.
    """

    def __init__(self, submit: Submit, meter: CpuMeter, watch: Watch) -> None:
        self._submit = submit
        self._meter = meter
        self._watch = watch

    async def warm_up(self) -> None:
        """Runs some orders that nobody measures."""
        await in_closed_loop(self._submit, self._watch.finish, WARM_UP, WIDTH)

    async def at_rate(self, count: int) -> Figures:
        """Measures at `RATE_PER_S`."""
        await asyncio.sleep(SETTLE_S)
        self._meter.start()
        submitted = await at_rate(self._submit, count, RATE_PER_S)
        await self._watch.finish(submitted[-1].workflow_id)
        cpu = self._meter.stop()
        return figures_of(await self._watch.closed(submitted), cpu, edge=0)

    async def in_closed_loop(self, count: int) -> Figures:
        """Measures with `WIDTH` orders on their way at any time."""
        await asyncio.sleep(SETTLE_S)
        self._meter.start()
        submitted = await in_closed_loop(self._submit, self._watch.finish, count, WIDTH)
        cpu = self._meter.stop()
        return figures_of(await self._watch.closed(submitted), cpu, edge=WIDTH)


@dataclass(frozen=True)
class Pair:
    """The figures of both, of one round or as medians over all."""

    ours: Figures
    bare: Figures

    @property
    def throughput_ratio(self) -> float:
        """How many orders are fulfilled in the time of one bare workflow."""
        return self.ours.orders_per_s / self.bare.orders_per_s


@dataclass(frozen=True)
class Results:
    """All rounds, in order."""

    rate_rounds: Sequence[Pair]
    loop_rounds: Sequence[Pair]

    @property
    def at_rate(self) -> Pair:
        """Medians at `RATE_PER_S`."""
        return _medians(self.rate_rounds)

    @property
    def closed_loop(self) -> Pair:
        """Medians in the closed loop."""
        return _medians(self.loop_rounds)

    @property
    def throughput_ratio(self) -> float:
        """The median of each round's own ratio, which a drifting machine disturbs least."""
        return median(pair.throughput_ratio for pair in self.loop_rounds)


async def run_rounds(
    ours: Contestant, bare: Contestant, size: Size, tell: Callable[[str], None]
) -> Results:
    """Warms both up, then measures them in turns.

    Args:
        ours: The product.
        bare: The baseline.
        size: How much is measured.
        tell: Takes a line on how far it is.
    """
    await ours.warm_up()
    await bare.warm_up()
    rates: list[Pair] = []
    loops: list[Pair] = []
    for number in range(1, size.rounds + 1):
        rate = Pair(await ours.at_rate(size.at_rate), await bare.at_rate(size.at_rate))
        loop = Pair(
            await ours.in_closed_loop(size.closed_loop), await bare.in_closed_loop(size.closed_loop)
        )
        rates.append(rate)
        loops.append(loop)
        tell(
            f"  round {number} of {size.rounds}: "
            f"closed loop {loop.ours.orders_per_s:.1f}/s, bare {loop.bare.orders_per_s:.1f}/s, "
            f"ratio {loop.throughput_ratio:.2f}; end to end at {RATE_PER_S:g}/s "
            f"{rate.ours.end_to_end_p50_ms:.0f} ms, bare {rate.bare.end_to_end_p50_ms:.0f} ms; "
            f"{loop.ours.others_share:.0%} and {loop.bare.others_share:.0%} of the cores to others"
        )
    return Results(rates, loops)


def _medians(pairs: Sequence[Pair]) -> Pair:
    return Pair(
        ours=median_figures([pair.ours for pair in pairs]),
        bare=median_figures([pair.bare for pair in pairs]),
    )
