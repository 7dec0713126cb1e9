"""`make up`: everything on this machine, until Ctrl-C or until one part dies."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from local.blueprint import Blueprint, draw
from local.ports import is_free
from local.process import PartFailedError
from local.running import AlreadyRunningError, Claim, claimed
from local.supervisor import StopAskedError, Supervisor
from settings import LocalSettings, load

WATCH_INTERVAL_S = 0.1
ECHOED = {"stripe": "magenta", "worker": "green", "api": "cyan"}
"""Whose log lines the terminal shows too, and in which color the name before them is."""

console = Console(highlight=False, soft_wrap=True)


class PortTakenError(Exception):
    """Ports that the stack needs are not free; one line for each, with its setting."""


class StopSignals:
    """Remembers that a signal asked for a stop; parts are stopped between two steps only."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._remember)

    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


class LogEcho:
    """Shows what is added to a log file from now on."""

    def __init__(self, name: str, log: Path) -> None:
        self._prefix = (f"{name:>7} ", ECHOED[name])
        self._file = log.open(errors="replace")
        self._file.seek(0, 2)
        self._begun = ""

    def pump(self) -> None:
        """Shows the lines that are complete since the last time."""
        *lines, self._begun = (self._begun + self._file.read()).split("\n")
        for line in lines:
            console.print(Text.assemble(self._prefix, line))


def main(design: Callable[[LocalSettings], Blueprint] = draw) -> None:
    """Runs what the settings ask for; exit code 0 when told to stop, 1 when something fails.

    Args:
        design: makes the stack from the settings.
    """
    settings = load(LocalSettings)
    os.umask(0o077)  # orders are nobody else's business, on this machine too
    stop = StopSignals()
    try:
        with claimed(settings.data_dir) as claim:
            run(design(settings), claim, settings.start_timeout, stop)
    except (AlreadyRunningError, PartFailedError, PortTakenError) as error:
        sys.exit(str(error))


def up() -> None:
    """Starts PostgreSQL, Temporal, the stand-ins, the worker and the API; Ctrl-C stops all."""
    main()


def run(blueprint: Blueprint, claim: Claim, start_timeout: timedelta, stop: StopSignals) -> None:
    """Starts the stack, shows where it is, and runs it until a signal says stop.

    Raises:
        PortTakenError: something listens on a port already; nothing has been started.
        PartFailedError: a part did not start or ended by itself; all others are stopped.
    """
    _check_ports(blueprint.ports)
    logs = blueprint.folder / "logs"
    shutil.rmtree(logs, ignore_errors=True)  # one run's logs are enough
    supervisor = Supervisor(blueprint.stages, logs, start_timeout.total_seconds())
    try:
        with suppress(StopAskedError):
            console.print(f"Starting; logs are in {logs}")
            supervisor.start(_show_progress, stop.asked)
            claim.publish(blueprint.urls, blueprint.environment)
            _show_urls(blueprint)
            _watch(supervisor, stop)
        console.print("Stopping")
    finally:
        supervisor.stop()
    console.print(f"Stopped; the data is kept in {blueprint.folder}")


def _check_ports(ports: dict[str, int]) -> None:
    names: dict[int, str] = {}
    problems = []
    for name, port in ports.items():
        other = names.setdefault(port, name)
        if other != name:
            problems.append(f"{name} and {other} are both {port}: change one of them.")
        elif not is_free(port):
            problems.append(f"Port {port} is taken. Choose another: {name}={port + 1} make up")
    if problems:
        raise PortTakenError("\n".join(problems))


def _show_progress(name: str, seconds: float) -> None:
    console.print(f"  [green]✓[/] {name:<10} {seconds:5.1f} s")


def _show_urls(blueprint: Blueprint) -> None:
    console.print("\n[bold]Everything answers.[/]\n")
    for name, url in blueprint.urls.items():
        console.print(f"  {name:<12} [cyan]{url}[/]")
    api = blueprint.urls["API"].removesuffix("/docs")
    token = f"$(cat {blueprint.operator_token_file})"
    console.print(
        f'\n  An order as JSON: curl -H "Authorization: Bearer {token}" {api}/orders/cs_…'
        "\n  Buy something in the shop, or run [bold]make demo[/] in another terminal."
        "\n  What operators do: [bold].venv/bin/fulfillment --help[/] in another terminal."
        f"\n  Ctrl-C stops everything; the data stays in {blueprint.folder}.\n"
    )


def _watch(supervisor: Supervisor, stop: StopSignals) -> None:
    echoes = [
        LogEcho(name, process.log)
        for name, process in supervisor.processes.items()
        if name in ECHOED
    ]
    while not stop.asked():
        supervisor.check()
        for echo in echoes:
            echo.pump()
        time.sleep(WATCH_INTERVAL_S)


if __name__ == "__main__":
    main()
