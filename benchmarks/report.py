"""The tables."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.bare import STEPS
from benchmarks.chart import Bar, bar_chart
from benchmarks.figures import Figures, PageFigures
from benchmarks.grid import Grid
from benchmarks.outside import CARRIER_MS, OUTSIDE_MS, SMTP_MS, STRIPE_MS, OutsideTimes
from benchmarks.page import facts_table, write_page
from benchmarks.rounds import RATE_PER_S, WIDTH, Pair, Results
from benchmarks.targets import Target, first_targets, further_targets, page_targets

_ROWS: tuple[tuple[str, Callable[[Figures], float], int], ...] = (
    ("acknowledged, p50 ms", lambda figures: figures.ack_p50_ms, 1),
    ("acknowledged, p99 ms", lambda figures: figures.ack_p99_ms, 1),
    ("end to end, p50 ms", lambda figures: figures.end_to_end_p50_ms, 0),
    ("end to end, p99 ms", lambda figures: figures.end_to_end_p99_ms, 0),
    ("history events per order", lambda figures: figures.events, 1),
)
"""Name, figure, decimals."""


def print_machine(console: Console, machine: Mapping[str, str]) -> None:
    """What it is measured on."""
    for name, value in machine.items():
        console.print(f"  {name:<10} {value}")


DISTURBED = 0.1
"""From which share of the machine on other programs make the figures doubtful."""


def print_results(
    console: Console, results: Results, pages: PageFigures, outside: OutsideTimes
) -> None:
    """All tables of a run."""
    console.print(f"\n{_explained(results)}")
    for grid in _grids(results, pages, outside):
        console.print(f"\n[bold]{grid.title}[/]")
        console.print(grid.for_terminal())
    others_share = max(
        figures.others_share
        for pair in (*results.rate_rounds, *results.loop_rounds)
        for figures in (pair.ours, pair.bare)
    )
    if others_share > DISTURBED:
        console.print(
            f"[yellow]Other programs took up to {others_share:.0%} of the machine: repeat it "
            "when it is quiet. CPU times suffer least.[/]"
        )


def write_results(
    folder: Path,
    results: Results,
    pages: PageFigures,
    outside: OutsideTimes,
    machine: Mapping[str, str],
) -> None:
    """The same as a page with plots.

    Args:
        folder: Where to; made when missing.
        results: What was measured of orders.
        pages: What was measured of pages.
        outside: What the outside calls take.
        machine: What it was measured on.
    """
    plots = {
        "service-throughput": bar_chart(
            f"Orders, or bare workflows, per second in a closed loop of {WIDTH}; more is better",
            "/s",
            _bars(results.loop_rounds, lambda figures: figures.orders_per_s),
        ),
        "service-end-to-end": bar_chart(
            f"End to end, p50 at {RATE_PER_S:g}/s; less is better",
            "ms",
            _bars(results.rate_rounds, lambda figures: figures.end_to_end_p50_ms),
        ),
    }
    write_page(
        folder / "service.md",
        title="The service beside a bare Temporal workflow",
        command="make bench",
        sections=[
            f"{_explained(results)}\n",
            *(grid.as_markdown() for grid in _grids(results, pages, outside)),
            facts_table(machine),
        ],
        plots=plots,
    )


def _explained(results: Results) -> str:
    return (
        f"Medians of {len(results.rate_rounds)} rounds.\n"
        "ours: from the sending of the webhook to the durable 2xx, and to the workflow's end.\n"
        f"bare: from the start of a workflow of {STEPS} no-op activities to the server's answer, "
        "and to its end."
    )


def _bars(rounds: Sequence[Pair], figure: Callable[[Figures], float]) -> list[Bar]:
    return [
        Bar("ours", [figure(pair.ours) for pair in rounds]),
        Bar("bare", [figure(pair.bare) for pair in rounds]),
    ]


def _grids(results: Results, pages: PageFigures, outside: OutsideTimes) -> list[Grid]:
    rate, loop = results.at_rate, results.closed_loop
    return [
        _comparison(f"At {RATE_PER_S:g} orders/s", rate),
        _comparison(f"In a closed loop of {WIDTH}", loop, results.throughput_ratio),
        _to_outside(rate.ours, outside),
        _cpu(loop),
        _targets(
            f"From the end of an order to the page that shows it, at {RATE_PER_S:g} orders/s",
            page_targets(pages),
        ),
        _targets("First targets", first_targets(results)),
        _targets("Further targets", further_targets(results)),
    ]


def _comparison(title: str, pair: Pair, throughput_ratio: float | None = None) -> Grid:
    rows = []
    if throughput_ratio is not None:
        rates = (f"{figures.orders_per_s:.1f}" for figures in (pair.ours, pair.bare))
        rows.append(["orders/s", *rates, f"{throughput_ratio:.2f}"])
    for name, figure, decimals in _ROWS:
        ours, bare = figure(pair.ours), figure(pair.bare)
        rows.append([name, f"{ours:.{decimals}f}", f"{bare:.{decimals}f}", f"{ours / bare:.2f}"])
    return Grid(title, ["", "ours", "bare", "ours / bare"], rows)


def _to_outside(figures: Figures, outside: OutsideTimes) -> Grid:
    rows = []
    for name, *times_ms in (
        ("as set", STRIPE_MS, CARRIER_MS, SMTP_MS, OUTSIDE_MS),
        (
            "measured alone",
            outside.stripe_ms,
            outside.carrier_ms,
            outside.smtp_ms,
            outside.sum_ms,
        ),
    ):
        ratio = figures.end_to_end_p50_ms / times_ms[-1]
        rows.append([name, *(f"{time_ms:.1f}" for time_ms in times_ms), f"{ratio:.2f}"])
    return Grid(
        f"The outside calls, and end to end p50 at {RATE_PER_S:g}/s as a multiple of their sum",
        ["", "Stripe ms", "carrier ms", "SMTP ms", "sum ms", "multiple"],
        rows,
    )


def _cpu(pair: Pair) -> Grid:
    """Tells, too, how much the load generator takes from what it measures."""
    both = (pair.ours, pair.bare)
    rows = [
        [name, *(f"{figures.cpu_ms[name]:.1f}" for figures in both), ""]
        for name in pair.ours.cpu_ms
    ]
    ours, bare = (sum(figures.cpu_ms.values()) for figures in both)
    rows.append(["sum", f"{ours:.1f}", f"{bare:.1f}", f"{ours / bare:.2f}"])
    shares = (f"{figures.others_share:.0%}" for figures in both)
    rows.append(["other programs' share", *shares, ""])
    return Grid(
        f"CPU ms per order in the closed loop of {WIDTH}", ["", "ours", "bare", "ours / bare"], rows
    )


def _targets(title: str, targets: Sequence[Target]) -> Grid:
    rows = []
    for target in targets:
        relation = "at least" if target.at_least else "at most"
        unit = f" {target.unit}".rstrip()
        rows.append(
            [
                target.name,
                f"{target.value:.2f}{unit}",
                f"{relation} {target.bound:g}{unit}",
                "reached" if target.reached else "not reached",
            ]
        )
    return Grid(title, ["", "measured", "to reach", ""], rows)
