"""One process of the stack: how it is described, started, seen to answer, and stopped."""

# ruff: noqa: S603 - starting programs that the caller describes is what this module does

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.guard import guard

PROBE_INTERVAL_S = 0.05
LAST_LINES = 15
"""How much of a log is shown when its process fails."""


class PartFailedError(Exception):
    """A part could not start, did not answer in time, or ended by itself.

    The message is meant for a person and holds the last lines of the part's log.
    """


@dataclass(frozen=True, kw_only=True)
class Part:
    """What runs as one process."""

    name: str
    """Also the name of its log file."""
    argv: Sequence[str]
    ready: Callable[["Process"], bool] | None
    """Whether it answers, asked again and again; None for a part that runs to its end."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    user: str | None = None
    """The system user to run as; None keeps ours."""
    cwd: Path | None = None
    prepare: Callable[[], None] = lambda: None
    """Done right before each start; raises PartFailedError."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks it to stop in good order."""
    orphan_signal: signal.Signals = signal.SIGKILL
    """Ends it when we died first; all parts but a database keep their data through a kill."""
    stop_timeout_s: float = 10.0
    """How long stopping in good order may take before it is killed."""


class Process:
    """A part that may be running.

    Its output goes straight into its log file, never through us: a pipe would break, and
    with it the part, whenever we end first.
    """

    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.log = log
        self._popen: subprocess.Popen[bytes] | None = None
        self._stop_requested = False
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process number; ValueError when it is not running."""
        if self._popen is None:
            raise ValueError(f"{self.part.name} is not running")
        return self._popen.pid

    @property
    def is_started(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._popen is not None

    def start(self) -> None:
        """Starts the process without waiting for it to answer.

        Raises:
            PartFailedError: the part could not be prepared, or its program not be run.
        """
        if self._popen is not None:
            raise ValueError(f"{self.part.name} is running already")
        try:
            self.part.prepare()
            self._popen = self._spawn()
            self._stop_requested = False
        except OSError as error:
            raise PartFailedError(f"{self.part.name} could not be started: {error}") from error
        guard().watch(self._popen.pid, self.part.orphan_signal)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            return subprocess.Popen(
                list(self.part.argv),
                env={**os.environ, **self.part.env},
                cwd=self.part.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches us only, and we stop parts in order.
                start_new_session=True,
                user=self.part.user,
                group=self.part.user,
                extra_groups=[] if self.part.user else None,
            )

    def output(self) -> str:
        """What it has written since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def check(self) -> None:
        """Raises PartFailedError when it has ended though it should run, or with an error."""
        code = None if self._popen is None else self._popen.poll()
        if code is None or (code == 0 and self.part.ready is None):
            return
        raise PartFailedError(self.obituary(f"ended with exit code {code}"))

    def probe(self) -> bool:
        """Whether the part answers, or has run to its end where that is what it does.

        Raises:
            PartFailedError: it has ended though it should run, or with an error.
        """
        self.check()
        if self.part.ready is not None:
            return self.part.ready(self)
        return self._popen is not None and self._popen.poll() == 0

    def wait_ready(self, timeout_s: float) -> None:
        """Waits until the part answers, or has run to its end where that is what it does.

        Raises:
            PartFailedError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self.probe():
            if time.monotonic() > deadline:
                raise PartFailedError(self.obituary(f"did not answer within {timeout_s:g} s"))
            time.sleep(PROBE_INTERVAL_S)

    def request_stop(self) -> None:
        """Asks the process to stop, without waiting for it.

        Once only: to some programs a second signal means to break off what the first began.
        """
        if self._popen is None or self._stop_requested or self._popen.poll() is not None:
            return
        self._popen.send_signal(self.part.stop_signal)
        self._stop_requested = True

    def stop(self) -> None:
        """Stops the process in good order, by force once that takes too long."""
        if self._popen is None:
            return
        self.request_stop()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(self.part.stop_timeout_s)
        self.kill()

    def kill(self) -> None:
        """Kills the process and all that it started in its group, as kill -9 does."""
        if self._popen is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # all of it has ended already
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        guard().forget(self._popen.pid)
        self._popen = None

    def obituary(self, what: str) -> str:
        """One line of what happened, and the last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        tail = "".join(f"\n  | {line}" for line in lines)
        return f"{self.part.name} {what}; the end of {self.log}:{tail or ' (nothing)'}"


@contextmanager
def running(part: Part, log: Path, timeout_s: float = 60.0) -> Iterator[Process]:
    """A part that answers while the block runs, and is stopped after it."""
    process = Process(part, log)
    try:
        process.start()
        process.wait_ready(timeout_s)
        yield process
    finally:
        process.stop()
