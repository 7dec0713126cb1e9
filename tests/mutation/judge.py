"""The command that Cosmic Ray runs for each mutant: asks what the tests say of it."""

import socket
import sys
from pathlib import Path

SOCKET = Path("..") / "fork_server"
"""Beside the copy of the checkout, in which this runs."""


def main() -> str:
    """Returns the verdict."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(SOCKET))
        return connection.makefile().read()


if __name__ == "__main__":
    verdict = main()
    print(verdict)  # noqa: T201 - Cosmic Ray keeps it
    sys.exit(not verdict.startswith("survived"))
