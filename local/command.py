"""`fulfillment`: the console program, by the settings of the stack that `make up` runs.

Without a running stack it reads its settings as everywhere, so that it is the same program on a
machine where nothing of the local stack is installed.
"""

import os
import sys

from commands.cli import COMMANDS, Command, program
from ending import run_to_end
from local.running import find_running
from settings import LocalSettings, load

_HERE = "On this machine"
_COMMANDS = COMMANDS | {
    "up": Command(_HERE, "local.up", "up", "Start everything; Ctrl-C stops it."),
    "demo": Command(_HERE, "local.demo", "main", "One purchase, driven by itself."),
}


def main() -> None:
    """Runs the command line."""
    folder = load(LocalSettings).data_dir
    running = find_running(folder)
    if running is not None and running.environment:
        os.environ.update(running.environment)
        if sys.stderr.isatty():
            print(f"With the stack that runs on {folder}", file=sys.stderr)  # noqa: T201 - a note
    run_to_end(lambda: program(_COMMANDS))


if __name__ == "__main__":
    main()
