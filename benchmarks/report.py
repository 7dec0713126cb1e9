"""The tables."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.bare import STEPS
from benchmarks.figures import Figures, PageFigures
from benchmarks.outside import CARRIER_MS, OUTSIDE_MS, SMTP_MS, STRIPE_MS, OutsideTimes
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
    rate, loop = results.at_rate, results.closed_loop
    console.print(
        f"\nMedians of {len(results.rate_rounds)} rounds.\n"
        "ours: from the sending of the webhook to the durable 2xx, and to the workflow's end.\n"
        f"bare: from the start of a workflow of {STEPS} no-op activities to the server's answer, "
        "and to its end."
    )
    for title, table in (
        (f"At {RATE_PER_S:g} orders/s", _comparison(rate)),
        (f"In a closed loop of {WIDTH}", _comparison(loop, results.throughput_ratio)),
        (
            f"The outside calls, and end to end p50 at {RATE_PER_S:g}/s as a multiple of their sum",
            _to_outside(rate.ours, outside),
        ),
        (f"CPU ms per order in the closed loop of {WIDTH}", _cpu(loop)),
        (
            f"From the end of an order to the page that shows it, at {RATE_PER_S:g} orders/s",
            _targets(page_targets(pages)),
        ),
        ("First targets", _targets(first_targets(results))),
        ("Further targets", _targets(further_targets(results))),
    ):
        console.print(f"\n[bold]{title}[/]")
        console.print(table)
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


def _comparison(pair: Pair, throughput_ratio: float | None = None) -> Table:
    table = _table("ours", "bare", "ours / bare")
    if throughput_ratio is not None:
        rates = (f"{figures.orders_per_s:.1f}" for figures in (pair.ours, pair.bare))
        table.add_row("orders/s", *rates, f"{throughput_ratio:.2f}")
    for name, figure, decimals in _ROWS:
        ours, bare = figure(pair.ours), figure(pair.bare)
        table.add_row(name, f"{ours:.{decimals}f}", f"{bare:.{decimals}f}", f"{ours / bare:.2f}")
    return table


def _to_outside(figures: Figures, outside: OutsideTimes) -> Table:
    table = _table("Stripe ms", "carrier ms", "SMTP ms", "sum ms", "multiple")
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
        table.add_row(name, *(f"{time_ms:.1f}" for time_ms in times_ms), f"{ratio:.2f}")
    return table


def _cpu(pair: Pair) -> Table:
    """Tells, too, how much the load generator takes from what it measures."""
    table = _table("ours", "bare", "ours / bare")
    both = (pair.ours, pair.bare)
    for name in pair.ours.cpu_ms:
        table.add_row(name, *(f"{figures.cpu_ms[name]:.1f}" for figures in both))
    table.add_section()
    ours, bare = (sum(figures.cpu_ms.values()) for figures in both)
    table.add_row("sum", f"{ours:.1f}", f"{bare:.1f}", f"{ours / bare:.2f}")
    table.add_row("other programs' share", *(f"{figures.others_share:.0%}" for figures in both))
    return table


def _targets(targets: Sequence[Target]) -> Table:
    table = _table("measured", "to reach", "")
    for target in targets:
        relation = "at least" if target.at_least else "at most"
        unit = f" {target.unit}".rstrip()
        table.add_row(
            target.name,
            f"{target.value:.2f}{unit}",
            f"{relation} {target.bound:g}{unit}",
            "[green]reached[/]" if target.reached else "[red]not reached[/]",
        )
    return table


def _table(*columns: str) -> Table:
    table = Table("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
