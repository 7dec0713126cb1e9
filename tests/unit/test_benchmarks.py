import asyncio

import pytest

from benchmarks.cpu import CpuUse
from benchmarks.figures import (
    Closed,
    figures_of,
    median_figures,
    page_figures_of,
    percentile,
    steady_rate,
)
from benchmarks.pace import Submitted, at_rate, in_closed_loop
from benchmarks.targets import Target, page_targets


def closed(
    second: float, *, end_to_end_ms: float = 50, acks_ms: tuple[float, ...] = (5,)
) -> Closed:
    return Closed(acks_ms=acks_ms, end_to_end_ms=end_to_end_ms, closed_at=second, events=11)


def test_a_percentile_is_interpolated() -> None:
    assert percentile([float(value) for value in range(101)], 99) == 99
    assert percentile([1, 2], 50) == 1.5


def test_the_steady_rate_leaves_out_how_a_closed_loop_fills_and_drains() -> None:
    steady = [10 + number / 10 for number in range(21)]
    assert steady_rate(steady, edge=0) == pytest.approx(10)
    assert steady_rate([0, 1, *reversed(steady), 50, 99], edge=2) == pytest.approx(10)


def test_figures_count_every_acknowledgment_and_cpu_time_per_order() -> None:
    orders = [closed(1, acks_ms=(2, 4)), closed(2, acks_ms=(9,), end_to_end_ms=70)]
    figures = figures_of(orders, CpuUse({"worker": 0.02}, others_share=0.1), edge=0)
    assert figures.ack_p50_ms == 4
    assert figures.end_to_end_p50_ms == 60
    assert figures.orders_per_s == 1
    assert figures.cpu_ms == {"worker": 10}


def test_medians_are_taken_figure_by_figure() -> None:
    rounds = [
        figures_of(
            [closed(0, end_to_end_ms=end), closed(gap, end_to_end_ms=end)],
            CpuUse({"worker": end / 1000}, others_share=0),
            edge=0,
        )
        for end, gap in ((10.0, 4), (20.0, 1), (30.0, 2))
    ]
    medians = median_figures(rounds)
    assert medians.end_to_end_p50_ms == 20
    assert medians.orders_per_s == 0.5
    assert medians.cpu_ms == {"worker": 10}


def test_a_target_is_a_bound_from_below_or_above() -> None:
    assert Target("", 1.0, 1.0, "x", at_least=True).reached
    assert not Target("", 0.9, 1.0, "x", at_least=True).reached
    assert Target("", 1.0, 1.0, "x").reached
    assert not Target("", 1.1, 1.0, "x").reached


def test_each_kind_of_page_is_held_to_its_own_target() -> None:
    quick, slow = [10.0] * 100, [10.0] * 90 + [400.0] * 10
    targets = page_targets(page_figures_of(waiting_ms=slow, open_ms=quick))
    assert {target.name: target.reached for target in targets} == {
        "page that waits, p50": True,
        "page that waits, p99": False,
        "open page, p50": True,
        "open page, p99": True,
    }


class Line:
    """Accepts orders, and finishes them one loop turn later."""

    def __init__(self) -> None:
        self.accepted = 0
        self.open = 0
        self.most_open = 0

    async def submit(self) -> Submitted:
        self.accepted += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0)
        return Submitted(str(self.accepted), 0, (1,))

    async def finish(self, _workflow_id: str) -> None:
        await asyncio.sleep(0)
        self.open -= 1


async def test_a_closed_loop_hands_in_every_order_and_never_too_many_at_once() -> None:
    line = Line()
    submitted = await in_closed_loop(line.submit, line.finish, count=20, width=4)
    assert len(submitted) == line.accepted == 20
    assert line.most_open == 4


async def test_a_fixed_rate_does_not_wait_for_answers() -> None:
    line = Line()
    submitted = await at_rate(line.submit, count=5, rate_per_s=10_000)
    assert len(submitted) == line.accepted == 5
    assert line.open == 5
