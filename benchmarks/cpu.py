"""Who used the machine's cores: the parts of the stack, the load generator, everybody else."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

LOAD_GENERATOR = "load generator"


@dataclass(frozen=True)
class CpuUse:
    """How much CPU time was used.

    Attributes:
        seconds: By who used it, the load generator included.
        others_share: How much of the whole machine went to programs that take no part, and to
            the system, between 0 and 1. Much of it means that a measurement was disturbed.
    """

    seconds: Mapping[str, float]
    others_share: float


class CpuMeter:
    """Adds up CPU time.

    Args:
        parts: Process numbers by who they count for; their children count with them.
    """

    def __init__(self, parts: Mapping[str, Sequence[int]]) -> None:
        self._parts = parts
        self._begun_at = 0.0
        self._begun: dict[str, float] = {}
        self._busy_begun = 0.0

    def start(self) -> None:
        """Measures from now on."""
        self._begun_at = time.monotonic()
        self._begun = self._used_s()
        self._busy_begun = _busy_s()

    def stop(self) -> CpuUse:
        """What was used since the start."""
        wall_s = time.monotonic() - self._begun_at
        seconds = {
            who: max(0.0, used_s - self._begun[who]) for who, used_s in self._used_s().items()
        }
        others_s = _busy_s() - self._busy_begun - sum(seconds.values())
        return CpuUse(seconds, max(0.0, others_s) / (wall_s * (os.cpu_count() or 1)))

    def _used_s(self) -> dict[str, float]:
        parts = {
            who: sum(_tree_s(number) for number in numbers) for who, numbers in self._parts.items()
        }
        # All parts are our children, so of ourselves only we count.
        return parts | {LOAD_GENERATOR: time.process_time()}


def _tree_s(number: int) -> float:
    root = psutil.Process(number)
    seconds = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def _busy_s() -> float:
    """The time that all cores together have worked since the machine was started."""
    times = psutil.cpu_times()
    # Linux counts the time of guests in that of users already.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(times)) - sum(getattr(times, name, 0.0) for name in idle)
