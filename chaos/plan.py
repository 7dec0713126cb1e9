"""Which fault hits what and when, drawn from a seed: the same seed, the same plan."""

import random
from dataclasses import dataclass
from enum import StrEnum

from chaos.dice import shuffled_for_ever


class Kind(StrEnum):
    """What goes wrong, as the report names it."""

    KILL = "kill -9"
    PAUSE = "pause"
    RESTART = "restart"
    SLOW = "slow"
    FAIL = "failing"
    LOST_ANSWER = "lost answer"
    FULL_DISK = "full disk"
    RESET = "connection resets"
    DROP = "webhooks dropped"
    DUPLICATE = "webhooks doubled"
    REORDER = "webhooks reordered"
    RETENTION = "retention passed"


class Target(StrEnum):
    """What a fault hits: processes, under the names of their parts, and systems outside."""

    WORKER_1 = "worker-1"
    WORKER_2 = "worker-2"
    API = "api"
    POSTGRES = "postgres"
    TEMPORAL = "temporal"
    STRIPE = "stripe"
    CARRIER = "carrier"
    MAIL = "inbox"
    MERCHANT = "merchant"
    WEBHOOKS = "webhooks"
    """What Stripe sends; it may be late or lost while Stripe itself is away or slow."""


_OURS = (Target.WORKER_1, Target.WORKER_2, Target.API)
_STORES = (Target.POSTGRES, Target.TEMPORAL)
_OUTSIDE = (Target.STRIPE, Target.CARRIER, Target.MAIL)

TARGETS: dict[Kind, tuple[Target, ...]] = {
    # Not Stripe: its stand-in keeps what it was told in memory, and Stripe forgets no payment.
    Kind.KILL: (*_OURS, *_STORES, Target.CARRIER, Target.MAIL),
    Kind.PAUSE: (*_OURS, *_STORES, *_OUTSIDE),
    Kind.RESTART: (*_OURS, *_STORES, Target.STRIPE),
    Kind.SLOW: (*_STORES, *_OUTSIDE, Target.MERCHANT),
    Kind.FAIL: (*_OUTSIDE, Target.MERCHANT),
    Kind.LOST_ANSWER: (Target.CARRIER,),
    Kind.FULL_DISK: (Target.MAIL, Target.CARRIER, Target.POSTGRES),
    Kind.RESET: (Target.API, *_STORES, *_OUTSIDE),
    Kind.DROP: (Target.WEBHOOKS,),
    Kind.DUPLICATE: (Target.WEBHOOKS,),
    Kind.REORDER: (Target.WEBHOOKS,),
    Kind.RETENTION: (Target.TEMPORAL,),
}
"""What each kind may hit."""

_DELAYS_MS: dict[Target, tuple[int, int]] = {
    # Of each packet on the way: an order needs some twenty statements.
    Target.POSTGRES: (20, 200),
    Target.TEMPORAL: (20, 400),
}
_SHORTEST_DELAY_MS = 300
"""Of each answer of an outside system that is slow."""
_STATUSES: dict[Target, tuple[int, ...]] = {
    Target.STRIPE: (409, 429, 500, 503),
    Target.CARRIER: (429, 500, 503),
    Target.MAIL: (421, 450, 451),
    Target.MERCHANT: (425, 500, 503),
}
"""What a failing system answers: all that passes by itself. What does not needs an operator."""


@dataclass(frozen=True)
class Pace:
    """How thick faults and purchases come.

    Attributes:
        fault_every_s: From the begin of one fault to that of the next, on average.
        shortest_s: The least that a fault lasts.
        longest_s: The most.
        slowest_ms: The longest that a slow outside system takes for an answer.
        purchase_every_s: From one purchase to the next.
    """

    fault_every_s: float
    shortest_s: float
    longest_s: float
    slowest_ms: int
    purchase_every_s: float


FULL = Pace(
    fault_every_s=4,
    shortest_s=1,
    longest_s=20,
    # Nearly as long as the adapters wait, and longer than a local try may take.
    slowest_ms=8_000,
    purchase_every_s=0.8,
)
QUICK = Pace(fault_every_s=0.7, shortest_s=0.4, longest_s=1, slowest_ms=1_000, purchase_every_s=0.3)


@dataclass(frozen=True)
class Planned:
    """One fault.

    Attributes:
        at_s: When it begins, in seconds from the begin of all; later where its target is taken.
        kind: What goes wrong.
        target: With what.
        lasts_s: For how long; longer where nothing was hit by then.
        level: How bad: milliseconds where it is slow, the status that a failing one answers.
    """

    at_s: float
    kind: Kind
    target: Target
    lasts_s: float
    level: int = 0

    def __str__(self) -> str:
        level = f" ({self.level})" if self.level else ""
        what = f"{self.kind}{level}"
        return f"{self.at_s:7.1f} s  {what:<22} {self.target:<9} for {self.lasts_s:.1f} s"


def draw(seed: int, seconds: float, pace: Pace) -> tuple[Planned, ...]:
    """The faults of a run.

    Each kind comes once before any comes again, and each of its targets before any of them does,
    as far as the time allows.
    """
    # Nothing here is secret: it is to be repeated.
    dice = random.Random(seed)  # noqa: S311
    kinds = shuffled_for_ever(dice, tuple(Kind))
    targets = {kind: shuffled_for_ever(dice, TARGETS[kind]) for kind in Kind}
    planned = []
    at_s = 0.0
    while at_s < seconds:
        kind = next(kinds)
        target = next(targets[kind])
        lasts_s = dice.uniform(pace.shortest_s, pace.longest_s)
        planned.append(Planned(at_s, kind, target, lasts_s, _level(dice, kind, target, pace)))
        at_s += pace.fault_every_s * dice.uniform(0.5, 1.5)
    return tuple(planned)


def _level(dice: random.Random, kind: Kind, target: Target, pace: Pace) -> int:
    if kind is Kind.SLOW:
        outside = (_SHORTEST_DELAY_MS, pace.slowest_ms)
        return dice.randint(*_DELAYS_MS.get(target, outside))
    if kind is Kind.FAIL:
        return dice.choice(_STATUSES[target])
    return 0
