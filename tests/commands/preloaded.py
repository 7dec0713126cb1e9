"""A Python that has all commands imported, and splits off a process for each that is run.

To import what a command needs takes over a second, which is most of what these tests would take.
Each run is a process of its own all the same: with its arguments, environment, folder, output and
exit code.

It is run with the path of the Unix socket to listen on, and ends when its standard input does.
"""

import importlib
import json
import os
import runpy
import signal
import sys
from typing import Any

from commands.cli import COMMANDS
from tests.harness.requests import asked_until_input_ends


def main() -> None:
    """Serves runs until the standard input ends, then exits."""
    for command in COMMANDS.values():
        importlib.import_module(command.module)
    # Nobody waits for the processes that wait for the runs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for connection in asked_until_input_ends():
        if os.fork() == 0:
            break
        connection.close()
    else:
        return
    request = json.loads(connection.makefile().readline())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    run = os.fork()
    if run == 0:
        connection.close()
        _become(request)
        runpy.run_module("commands", run_name="__main__", alter_sys=True)
        return
    _, status = os.waitpid(run, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: Any) -> None:
    """Makes this process the one that was asked for."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.argv = ["commands", *request["arguments"]]
    sys.path[0] = request["folder"]
    for number, path in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    main()
