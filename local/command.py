"""Runs one of the product's commands with the settings of the stack that `make up` runs.

`python -m local.command doctor`, or `make doctor`; what follows are the command's own arguments.
Without a running stack the command reads its settings as everywhere.
"""

import os
import sys

from local.running import find_running
from settings import LocalSettings, load


def main() -> None:
    """Becomes the command, so that its exit code and Ctrl-C are its own."""
    name, *arguments = sys.argv[1:]
    running = find_running(load(LocalSettings).data_dir)
    environment = running.environment if running else {}
    command = [sys.executable, "-m", f"commands.{name}", *arguments]
    os.execve(sys.executable, command, {**os.environ, **environment})  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
