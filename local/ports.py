"""TCP ports of this machine."""

import secrets
import socket

LOCALHOST = "127.0.0.1"
"""The only address that anything in this package listens on."""


_TAKEN: set[int] = set()
_RANGE = range(15_000, 32_000)
"""Below what systems give to outgoing connections, one of which could take a port just found."""


def free_port() -> int:
    """A port that nothing listens on right now, and that was not given out before."""
    while True:
        port = secrets.choice(_RANGE)
        if port not in _TAKEN and is_free(port):
            _TAKEN.add(port)
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    try:
        # As servers do (SO_REUSEADDR), so that closed connections of the last run do not count.
        with socket.create_server((LOCALHOST, port)):
            return True
    except OSError:
        return False
