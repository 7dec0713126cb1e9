import asyncio
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import Bar, bar_chart, with_spread
from benchmarks.comparison.measure import Crash, Size
from benchmarks.comparison.measure import Figures as TurnFigures
from benchmarks.comparison.report import Results, write_results
from benchmarks.comparison.systems import APP, ENGINE, OURS, PEERS
from benchmarks.comparison.versions import STORES
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
from local.blueprint import ROOT

PEER_PROGRAMS = ROOT / "benchmarks" / "peers"


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


def turn_figures(orders_per_s: float, mailed_twice: int) -> TurnFigures:
    return TurnFigures(
        ack_p50_ms=4,
        ack_p99_ms=8,
        end_to_end_p50_ms=70,
        end_to_end_p99_ms=90,
        orders_per_s=orders_per_s,
        loop_ack_p50_ms=50,
        cpu_ms={APP: 10, ENGINE: 5, "PostgreSQL": 2, "stand-ins": 3},
        others_share=0.02,
        crash=Crash(
            orders=96,
            lost=0,
            mailed_twice=mailed_twice,
            booked_twice=0,
            called_twice=1,
            recovered_s=3,
        ),
    )


def cells(page: str, row: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith(f"| {row} |")
    ]


def test_the_comparison_writes_medians_with_spreads_and_sums_of_crashes(tmp_path: Path) -> None:
    size = Size(rounds=3, warm_up=1, at_rate=1, closed_loop=1, crash=96)
    ours = [turn_figures(rate, twice) for rate, twice in ((30, 1), (41, 0), (35, 2))]
    write_results(tmp_path, Results({"Machine": "a small one"}, size, {OURS: ours}))
    page = (tmp_path / "peers.md").read_text()
    speed, crashes, cpu = cells(page, OURS)
    assert "35 (30 to 41)" in speed
    assert crashes == [OURS, "0", "3", "0", "3", "3 (3 to 3)"]
    assert cpu[4] == "17 (17 to 17)"
    assert "| Machine | a small one |" in page
    plots = set(re.findall(r"\((.+\.svg)\)", page))
    assert plots == {path.name for path in tmp_path.glob("*.svg")}
    assert len(plots) == 4


def test_a_chart_has_each_median_to_scale_and_is_well_formed() -> None:
    chart = bar_chart("Fast & good", "/s", [Bar("<ours>", [90, 100, 200]), Bar("peer", [50])])
    svg = ElementTree.fromstring(chart)  # noqa: S314 - made right here
    names = {"svg": "http://www.w3.org/2000/svg"}
    first, second = (float(bar.attrib["width"]) for bar in svg.findall("svg:rect", names))
    assert first == pytest.approx(2 * second)
    texts = [text.text for text in svg.findall("svg:text", names)]
    assert texts == ["Fast & good", "<ours>", "100 /s", "peer", "50 /s"]


def test_figures_are_told_as_exactly_as_they_are_known() -> None:
    assert with_spread([4.96, 5.04, 12.3]) == "5.0 (5.0 to 12)"
    assert with_spread([0, 0, 1]) == "0 (0 to 1)"


def test_every_peer_has_its_program_and_tells_where_its_work_is_stored() -> None:
    described = (ROOT / "docs" / "benchmarks.md").read_text()
    assert set(STORES) == set(PEERS)
    for name in PEERS:
        assert (PEER_PROGRAMS / f"{name}.py").is_file()
        assert f"`{name}.py`" in described


def test_peers_run_on_the_versions_of_the_service() -> None:
    ours, theirs = (
        dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)", path.read_text(), flags=re.MULTILINE))
        for path in (ROOT / "requirements.lock", PEER_PROGRAMS / "requirements.lock")
    )
    shared = ours.keys() & theirs.keys()
    assert shared >= {"stripe", "fastapi", "temporalio", "psycopg", "httpx"}
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}
