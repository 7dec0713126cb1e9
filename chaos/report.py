"""What a run prints: the faults by kind, the orders by kind, and the verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from chaos.auditor import RECEIPT, Verdict
from chaos.outside import Outside
from chaos.plan import Kind
from chaos.storm import Happened
from domain.reconciliation import Action

MOST_SHOWN = 50


@dataclass(frozen=True)
class Run:
    """All that is known about a run that is over.

    Attributes:
        seed: What it was drawn from.
        minutes: For how long faults were drawn.
        happened: The faults.
        ended: How often each process ended by itself, by name.
        outside: What the outside world holds.
        paid_at: When each session was paid, as seconds since 1970.
        still_open: What had not come to rest in the time that it was given.
        settling_s: How long it was waited for.
        forgotten: How many orders Temporal has forgotten meanwhile.
        found: What sweeps have done about sessions that no event had told of.
        verdict: What the auditor says.
    """

    seed: int
    minutes: float
    happened: Sequence[Happened]
    ended: Mapping[str, int]
    outside: Outside
    paid_at: Mapping[str, float]
    still_open: Sequence[str]
    settling_s: float
    forgotten: int
    found: Counter[Action]
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.still_open and not self.verdict.problems

    @property
    def hit(self) -> Counter[Kind]:
        """How many faults of each kind have hit something."""
        return Counter(fault.kind for fault in self.happened if fault.hits)

    @property
    def repeat(self) -> str:
        """The command that draws the same again."""
        return f'make chaos ARGS="--seed {self.seed} --minutes {self.minutes:g}"'


def print_run(console: Console, run: Run) -> None:
    """All of it; at last the verdict."""
    for title, table in (
        ("Faults", _faults(run)),
        ("Orders", _orders(run)),
    ):
        console.print(f"\n[bold]{title}[/]")
        console.print(table)
    ended = ", ".join(f"{name} {count}" for name, count in sorted(run.ended.items()))
    found = ", ".join(f"{action} {count}" for action, count in sorted(run.found.items()))
    mails = len(run.outside.mails)
    console.print(
        f"\nEnded by themselves, and started again: {ended or 'none'}\n"
        f"Parcels {len(run.outside.parcels)}, mails {mails}, of which came twice by the window "
        f"that SMTP leaves open: {run.verdict.doubled_mails}\n"
        f"Workflows that Temporal forgot, after which their events came again: {run.forgotten}\n"
        f"Settled by a sweep: {found or 'none'}; all others by an event or their customer\n"
        f"{_latency(run)}\n"
        f"After the last fault it was waited for {run.settling_s:.0f} s until all was at rest"
    )
    verdict = run.verdict
    problems = [*map(str, verdict.problems), *(f"still open: {each}" for each in run.still_open)]
    for problem in problems[:MOST_SHOWN]:
        console.print(f"  [red]{problem}[/]")
    if len(problems) > MOST_SHOWN:
        console.print(f"  … and {len(problems) - MOST_SHOWN} more")
    if run.passed:
        console.print(
            f"[green]Passed[/]: {verdict.delivered} paid orders delivered exactly once, "
            f"{verdict.undelivered} unpaid ones not at all, nothing stranded."
        )
    else:
        console.print(f"[red]Failed[/]: {len(problems)} problems. Again: {run.repeat}")


def _faults(run: Run) -> Table:
    table = Table("")
    for column in ("faults", "hit", "times hit", "on"):
        table.add_column(column, justify="left" if column == "on" else "right")
    for kind in Kind:
        of_kind = [fault for fault in run.happened if fault.kind is kind]
        targets = Counter(str(fault.target) for fault in of_kind)
        table.add_row(
            str(kind),
            str(len(of_kind)),
            str(run.hit[kind]),
            str(sum(fault.hits for fault in of_kind)),
            ", ".join(f"{target} {count}" for target, count in sorted(targets.items())),
        )
    table.add_section()
    table.add_row("all", str(len(run.happened)), str(run.hit.total()), "", "")
    return table


def _orders(run: Run) -> Table:
    table = Table("")
    table.add_column("orders", justify="right")
    sales = run.outside.sales
    for counts in (Counter(sale.story for sale in sales), Counter(sale.ware for sale in sales)):
        for name, count in sorted(counts.items()):
            table.add_row(name, str(count))
        table.add_section()
    table.add_row("all", str(len(sales)))
    return table


def _latency(run: Run) -> str:
    """From the payment to the receipt, which tells of all that is delivered by then."""
    receipts: dict[str, float] = {}
    for mail in run.outside.mails:
        if mail.name == RECEIPT:
            receipts.setdefault(mail.session_id, mail.received_at)
    took_s = [
        receipts[session_id] - paid_at
        for session_id, paid_at in run.paid_at.items()
        if session_id in receipts
    ]
    if not took_s:
        return "No receipt came"
    return f"From payment to receipt: p50 {median(took_s):.1f} s, at most {max(took_s):.0f} s"
