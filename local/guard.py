"""Ends the processes that we started when we die without having stopped them.

A process killed with SIGKILL runs no clean-up, and only Linux can tell its children of it
(PR_SET_PDEATHSIG, which in turn follows the thread that started them). So a small process of
its own reads a pipe that we hold open: each line names a process to end, and the end of the
pipe means that we are gone, however that happened.

This file also is that small process; it uses the standard library only and starts in
20 ms (`python -I -S local/guard.py`).
"""

import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_S = 10.0
"""How long an orphan that was asked to stop may take before it is killed."""


class Guard:
    """Our end of the pipe."""

    def __init__(self) -> None:
        # A session of its own: neither Ctrl-C nor a closed terminal reaches it.
        self._process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def watch(self, pid: int, stop_signal: signal.Signals) -> None:
        """From now on the process and its group end with us, by this signal at first."""
        self._write(f"{pid} {stop_signal.value}\n")

    def forget(self, pid: int) -> None:
        """The process has ended; its number may soon belong to someone else."""
        self._write(f"{pid} 0\n")

    def close(self) -> None:
        """Ends what is still watched, and the guard."""
        self._process.communicate()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - stdin=PIPE above
        # Without a guard we still stop what we started, so a lost guard stops nothing.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


@functools.cache
def guard() -> Guard:
    """The one guard of this process, started when first needed."""
    started = Guard()
    atexit.register(started.close)
    return started


def _send(pid: int, number: int) -> bool:
    """Signals a process; SIGKILL goes to its whole group. Returns whether it was there."""
    try:
        if number == signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_zombie(pid: int) -> bool:
    """Whether it ended and nobody asked for its exit code, as in containers without an init."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def _main() -> None:
    watched: dict[int, int] = {}
    for line in sys.stdin:
        pid, number = (int(word) for word in line.split())
        if number:
            watched[pid] = number
        else:
            watched.pop(pid, None)
    left = {pid for pid, number in watched.items() if _send(pid, number)}
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pid for pid in left if _send(pid, 0) and not _is_zombie(pid)}
    for pid in left:
        _send(pid, signal.SIGKILL)


if __name__ == "__main__":
    _main()
