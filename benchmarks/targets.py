"""What is to be reached, and whether a run did."""

from dataclasses import dataclass

from benchmarks.figures import PageFigures
from benchmarks.outside import OUTSIDE_MS
from benchmarks.rounds import RATE_PER_S, WIDTH, Results

PAGE_MS = 100


@dataclass(frozen=True)
class Target:
    """One figure and its bound.

    Attributes:
        name: What the figure is.
        value: What was measured.
        bound: What is to be reached.
        unit: Of both; empty for a count.
        at_least: Whether more is better.
    """

    name: str
    value: float
    bound: float
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value keeps the bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def first_targets(results: Results) -> list[Target]:
    """Without these the engine under the product would be blamed for what the product costs."""
    return _targets(results, throughput=1.0, end_to_end=3.0, ack_p50_ms=15)


def further_targets(results: Results) -> list[Target]:
    """What the best of comparable systems reach, put together."""
    rate, loop = results.at_rate.ours, results.closed_loop.ours
    return [
        *_targets(results, throughput=1.7, end_to_end=1.5, ack_p50_ms=5),
        Target(f"acknowledged p99 at {RATE_PER_S:g}/s", rate.ack_p99_ms, 15, "ms"),
        Target(f"acknowledged p50, loop of {WIDTH}", loop.ack_p50_ms, 60, "ms"),
        Target("history events per order", rate.events, 25, ""),
    ]


def page_targets(pages: PageFigures) -> list[Target]:
    """A customer takes less than a tenth of a second for at once."""
    return [
        Target("page that waits, p50", pages.waiting_p50_ms, PAGE_MS, "ms"),
        Target("page that waits, p99", pages.waiting_p99_ms, PAGE_MS, "ms"),
        Target("open page, p50", pages.open_p50_ms, PAGE_MS, "ms"),
        Target("open page, p99", pages.open_p99_ms, PAGE_MS, "ms"),
    ]


def _targets(
    results: Results, *, throughput: float, end_to_end: float, ack_p50_ms: float
) -> list[Target]:
    rate = results.at_rate.ours
    at = f"at {RATE_PER_S:g}/s"
    return [
        Target(
            f"orders/s / bare, loop of {WIDTH}",
            results.throughput_ratio,
            throughput,
            "x",
            at_least=True,
        ),
        Target(
            f"end to end p50 {at} / {OUTSIDE_MS} ms",
            rate.end_to_end_p50_ms / OUTSIDE_MS,
            end_to_end,
            "x",
        ),
        Target(f"acknowledged p50 {at}", rate.ack_p50_ms, ack_p50_ms, "ms"),
    ]
