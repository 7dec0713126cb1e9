"""TCP ports of this machine."""

import socket

LOCALHOST = "127.0.0.1"
"""The only address that anything in this package listens on."""


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.create_server((LOCALHOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    try:
        # As servers do (SO_REUSEADDR), so that closed connections of the last run do not count.
        with socket.create_server((LOCALHOST, port)):
            return True
    except OSError:
        return False
