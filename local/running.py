"""Who is running on a data folder: one program at a time, and where others find it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel


class AlreadyRunningError(Exception):
    """Another program is running on the folder; the message names it."""


class Running(BaseModel):
    """A running stack, as others find it."""

    pid: int
    urls: dict[str, str] = {}
    environment: dict[str, str] = {}
    """The product's settings, secrets too; empty until everything answers."""


class Claim:
    """The right to run on a folder."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def publish(self, urls: dict[str, str], environment: dict[str, str]) -> None:
        """Tells others what is running."""
        running = Running(pid=os.getpid(), urls=urls, environment=environment)
        self._file.seek(0)
        self._file.truncate()
        self._file.write(running.model_dump_json())
        self._file.flush()


@contextmanager
def claimed(folder: Path) -> Iterator[Claim]:
    """Holds the folder while the block runs; the system lets go of it however we end.

    Raises:
        AlreadyRunningError: another program holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _file(folder)
    path.touch(mode=0o600)
    with path.open("r+") as file:
        if not _lock(file):
            running = find_running(folder)
            who = f" (process {running.pid})" if running else ""
            raise AlreadyRunningError(
                f"It is already running on {folder}{who}. Stop that one, or give this one "
                "a folder and ports of its own (DATA_DIR=…, PORT=…)."
            )
        claim = Claim(file)
        claim.publish(urls={}, environment={})
        yield claim


def find_running(folder: Path) -> Running | None:
    """The stack that runs on the folder; None when none does."""
    if not _file(folder).exists():
        return None
    with _file(folder).open("r+") as file:
        if _lock(file):
            return None  # what it says is what ran last
        content = file.read()
        return Running.model_validate_json(content) if content else None


def _file(folder: Path) -> Path:
    return folder / "running.json"


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
