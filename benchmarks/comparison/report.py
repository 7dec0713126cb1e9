"""The comparison's tables and plots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.chart import Bar, bar_chart, with_spread
from benchmarks.comparison.measure import Crash, Figures, Size
from benchmarks.comparison.systems import APP, ENGINE
from benchmarks.grid import Grid
from benchmarks.outside import OUTSIDE_MS
from benchmarks.page import facts_table, write_page
from benchmarks.rounds import RATE_PER_S, WIDTH

COMMAND = "make bench-peers"
DATABASE = "PostgreSQL"
_AT_RATE = f"at {RATE_PER_S:g}/s"
_IN_LOOP = f"loop of {WIDTH}"

_SPEED: tuple[tuple[str, Callable[[Figures], float]], ...] = (
    (f"acknowledged p50 {_AT_RATE}, ms", lambda turn: turn.ack_p50_ms),
    ("p99, ms", lambda turn: turn.ack_p99_ms),
    (f"webhook to mail p50 {_AT_RATE}, ms", lambda turn: turn.end_to_end_p50_ms),
    ("p99, ms", lambda turn: turn.end_to_end_p99_ms),
    (f"orders/s, {_IN_LOOP}", lambda turn: turn.orders_per_s),
    (f"acknowledged p50, {_IN_LOOP}, ms", lambda turn: turn.loop_ack_p50_ms),
)
_CPU: tuple[tuple[str, Callable[[Figures], float]], ...] = (
    (APP, lambda turn: turn.cpu_ms[APP]),
    (ENGINE, lambda turn: turn.cpu_ms[ENGINE]),
    (DATABASE, lambda turn: turn.cpu_ms[DATABASE]),
    ("sum", lambda turn: sum(turn.cpu_ms[who] for who in (APP, ENGINE, DATABASE))),
    ("other programs' share of the machine, %", lambda turn: turn.others_share * 100),
)
_CRASH: tuple[tuple[str, Callable[[Crash], int]], ...] = (
    ("orders lost", lambda crash: crash.lost),
    ("customers mailed twice", lambda crash: crash.mailed_twice),
    ("parcels booked twice", lambda crash: crash.booked_twice),
    ("carrier called twice", lambda crash: crash.called_twice),
)
_PLOTS: tuple[tuple[str, str, str, Callable[[Figures], float]], ...] = (
    (
        "peers-acknowledged",
        f"Webhook acknowledged, p50 {_AT_RATE}; less is better",
        "ms",
        lambda turn: turn.ack_p50_ms,
    ),
    (
        "peers-end-to-end",
        f"From the webhook to the receipt's mail, p50 {_AT_RATE}; less is better",
        "ms",
        lambda turn: turn.end_to_end_p50_ms,
    ),
    (
        "peers-throughput",
        f"Orders per second in a closed loop of {WIDTH}; more is better",
        "/s",
        lambda turn: turn.orders_per_s,
    ),
    (
        "peers-mailed-twice",
        "Customers mailed twice after one kill -9; less is better",
        "",
        lambda turn: turn.crash.mailed_twice,
    ),
)
"""File, title, unit, figure."""


@dataclass(frozen=True)
class Results:
    """All turns.

    Attributes:
        machine: What they were measured on.
        size: How much was measured.
        turns: Of each system by its name, the service first.
    """

    machine: Mapping[str, str]
    size: Size
    turns: Mapping[str, list[Figures]]


def print_results(console: Console, results: Results) -> None:
    """All tables."""
    for name, value in results.machine.items():
        console.print(f"  {name:<24} {value}")
    console.print(f"\n{_explained(results.size)}")
    for grid in _grids(results):
        console.print(f"\n[bold]{grid.title}[/]")
        console.print(grid.for_terminal())


def write_results(folder: Path, results: Results) -> None:
    """The same as a page with plots.

    Args:
        folder: Where to; made when missing.
        results: What was measured.
    """
    plots = {
        file: bar_chart(
            title,
            unit,
            [Bar(name, [figure(turn) for turn in turns]) for name, turns in results.turns.items()],
        )
        for file, title, unit, figure in _PLOTS
    }
    write_page(
        folder / "peers.md",
        title="The service beside its peers",
        command=COMMAND,
        sections=[
            f"{_explained(results.size)}\n",
            *(grid.as_markdown() for grid in _grids(results)),
            facts_table(results.machine),
        ],
        plots=plots,
    )


def _explained(size: Size) -> str:
    return (
        f"Rounds: {size.rounds}, each with {size.at_rate} orders {_AT_RATE}, {size.closed_loop} in "
        f"the closed loop and {size.crash} around a kill -9. Times, rates and CPU: the median, and "
        "the least and the most in brackets. What the crashes did is summed over all rounds. The "
        f"outside calls alone take {OUTSIDE_MS} ms."
    )


def _grids(results: Results) -> Sequence[Grid]:
    return (
        Grid(
            "Speed",
            ["", *(name for name, _ in _SPEED)],
            [
                [name, *(with_spread([figure(turn) for turn in turns]) for _, figure in _SPEED)]
                for name, turns in results.turns.items()
            ],
        ),
        Grid(
            "After kill -9 in mid-run",
            ["", *(name for name, _ in _CRASH), "until the last mail, s"],
            [
                [
                    name,
                    *(str(sum(count(turn.crash) for turn in turns)) for _, count in _CRASH),
                    with_spread([turn.crash.recovered_s for turn in turns]),
                ]
                for name, turns in results.turns.items()
            ],
        ),
        Grid(
            f"CPU ms per order in the closed loop of {WIDTH}",
            ["", *(name for name, _ in _CPU)],
            [
                [name, *(with_spread([figure(turn) for turn in turns]) for _, figure in _CPU)]
                for name, turns in results.turns.items()
            ],
        ),
    )
