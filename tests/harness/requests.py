"""How a process that others are split off from takes what it is asked."""

import select
import socket
import sys
from collections.abc import Iterator


def asked_until_input_ends() -> Iterator[socket.socket]:
    """Listens on the Unix socket that the first argument names, and says so on standard output.

    Yields:
        Each connection, for the caller to close, until the standard input ends.
    """
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen()
        print("listening", flush=True)  # noqa: T201 - to who started it
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [])
            if server not in ready:
                return
            yield server.accept()[0]
