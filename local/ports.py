"""TCP ports of this machine."""

import os
import secrets
import socket
import tempfile
import time
from pathlib import Path

LOCALHOST = "127.0.0.1"
"""Where all of this package listens, unless it is told otherwise."""


_CLAIMS = Path(tempfile.gettempdir()) / f"claimed-ports-{os.getuid()}"
"""One empty file for each port that was given out, by whichever process."""
_CLAIMED_FOR_S = 20 * 60
"""Longer than what runs on a port is away between a stop and the next start."""
_given: list[Path] = []
_RANGE = range(15_000, 32_000)
"""Below what systems give to outgoing connections, one of which could take a port just found."""


def free_port() -> int:
    """A port that nothing listens on right now, and that was given to nobody else for a while.

    Tests run side by side: a port that one process has found is not to be another's before
    something listens there.
    """
    while True:
        port = secrets.choice(_RANGE)
        if is_free(port) and _claim(port):
            return port


def renew_claims() -> None:
    """Claims again all that this process was given: for what runs, and is away, much later."""
    for claim in _given:
        claim.touch()


def _claim(port: int) -> bool:
    _CLAIMS.mkdir(exist_ok=True)
    claim = _CLAIMS / str(port)
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        if time.time() - claim.stat().st_mtime < _CLAIMED_FOR_S:
            return False
        claim.touch()
    _given.append(claim)
    return True


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    try:
        # As servers do (SO_REUSEADDR), so that closed connections of the last run do not count.
        with socket.create_server((LOCALHOST, port)):
            return True
    except OSError:
        return False
