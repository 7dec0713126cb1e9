"""Starts the parts of a stack stage by stage, watches them, and stops them all together."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from local.process import PROBE_INTERVAL_S, Part, PartFailedError, Process


class StopAskedError(Exception):
    """Someone asked for a stop while the stack was starting."""


class Supervisor:
    """The processes of one stack.

    Args:
        stages: parts that start together, in the order of starting.
        logs: the folder of the log files, one per part.
        timeout_s: how long one part may take until it answers.
    """

    def __init__(self, stages: Sequence[Sequence[Part]], logs: Path, timeout_s: float) -> None:
        self._stages = [
            [Process(part, logs / f"{part.name}.log") for part in stage] for stage in stages
        ]
        self._timeout_s = timeout_s
        self.processes = {process.part.name: process for stage in self._stages for process in stage}

    def start(
        self,
        on_ready: Callable[[str, float], None] = lambda _name, _seconds: None,
        stop_asked: Callable[[], bool] = lambda: False,
    ) -> None:
        """Starts every part and waits until all of them answer.

        On an error what has been started keeps running: `stop` it.

        Args:
            on_ready: called with a part's name and its seconds from start to answer.
            stop_asked: asked all the time whether to give up.

        Raises:
            PartFailedError: a part could not start, ended, or did not answer in time.
            StopAskedError: `stop_asked` said yes.
        """
        for stage in self._stages:
            started = time.monotonic()
            for process in stage:
                process.start()
            waiting = list(stage)
            while waiting:
                self.check()
                seconds = time.monotonic() - started
                for process in [process for process in waiting if process.probe()]:
                    waiting.remove(process)
                    if process.part.ready is None:
                        process.stop()  # it has ended; this lets go of its number
                    on_ready(process.part.name, seconds)
                if stop_asked():
                    raise StopAskedError
                if waiting and seconds > self._timeout_s:
                    late = f"did not answer within {self._timeout_s:g} s"
                    raise PartFailedError(waiting[0].obituary(late))
                time.sleep(PROBE_INTERVAL_S)

    def check(self) -> None:
        """Raises PartFailedError when a part that should be running has ended."""
        for process in self.processes.values():
            process.check()

    def stop(self) -> None:
        """Stops the parts that run in reverse order, those of one stage together."""
        for stage in reversed(self._stages):
            for process in stage:
                process.request_stop()
            for process in stage:
                process.stop()
