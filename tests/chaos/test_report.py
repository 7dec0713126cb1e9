"""What a chaos run prints, and when it counts as passed."""

import io
from collections import Counter
from dataclasses import replace

from rich.console import Console

from chaos.auditor import Problem, Verdict
from chaos.outside import Mail, Outside, Sale
from chaos.plan import Kind, Target
from chaos.report import Run, print_run
from chaos.storm import Happened
from chaos.wares import Story
from domain.reconciliation import Action

SALE = Sale("cs_1", "access", 1, Story.PAID, paid=True, payments=1)
RECEIPT = Mail("<cs_1.receipt@shop>", "cs_1", "receipt", "", received_at=1002.5)
RUN = Run(
    seed=7,
    minutes=60,
    happened=[
        Happened(Kind.KILL, Target.API, 1000, 1001, hits=1),
        Happened(Kind.KILL, Target.MAIL, 1000, 1001, hits=0),
    ],
    ended={"postgres": 2},
    outside=Outside(sales=(SALE,), mails=(RECEIPT,)),
    paid_at={"cs_1": 1000.0},
    still_open=[],
    settling_s=3,
    forgotten=4,
    found=Counter({Action.START: 5}),
    verdict=Verdict(problems=(), doubled_mails=6, delivered=1, undelivered=0),
)
PROBLEM = Problem("doubled", "cs_1", "2 entitlements, and 1 were promised")


def printed(run: Run) -> str:
    out = io.StringIO()
    print_run(Console(file=out, width=120), run)
    return out.getvalue()


def test_it_counts_apart_which_faults_have_hit() -> None:
    assert RUN.hit == Counter({Kind.KILL: 1})


def test_it_tells_what_happened_and_what_came_of_it() -> None:
    told = printed(RUN)
    for line in (
        "postgres 2",
        "by the window that SMTP leaves open: 6",
        "came again: 4",
        "start 5",
        "p50 2.5 s",
        "Passed: 1 paid orders delivered exactly once, 0 unpaid ones not at all",
    ):
        assert line in told


def test_one_problem_fails_it_and_it_says_how_to_draw_the_same_again() -> None:
    failed = replace(RUN, verdict=replace(RUN.verdict, problems=(PROBLEM,)))
    assert not failed.passed
    assert "doubled: cs_1: 2 entitlements" in printed(failed)
    assert 'make chaos ARGS="--seed 7 --minutes 60"' in printed(failed)


def test_what_does_not_come_to_rest_has_failed() -> None:
    unsettled = replace(RUN, still_open=["workflow cs_1"])
    assert not unsettled.passed
    assert "still open: workflow cs_1" in printed(unsettled)
