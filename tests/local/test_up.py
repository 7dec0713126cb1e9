"""`make up`: how it starts, what it says, and that nothing of it is left behind.

Over small programs instead of the real parts, which `test_stack.py` starts.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.blueprint import ROOT
from local.ports import LOCALHOST, free_port
from local.running import find_running
from tests.local.waiting import eventually

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@dataclass
class Run:
    """One run of `make up` with dummy parts."""

    folder: Path
    process: subprocess.Popen[str]

    def events(self) -> list[str]:
        """What the parts have noted, in order."""
        file = self.folder / "events"
        return file.read_text().splitlines() if file.exists() else []

    def wait_up(self) -> None:
        """Waits until everything answers."""

        def published() -> bool:
            running = find_running(self.folder)
            return running is not None and bool(running.urls)

        eventually(published)

    def descendants(self) -> list[psutil.Process]:
        """All processes it has started, theirs too."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> tuple[int, str, str]:
        """Waits for its end; returns exit code, standard output and standard error."""
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@contextmanager
def running(folder: Path, start_timeout_s: int = 60, **plan: Any) -> Iterator[Run]:
    """A run that is killed after the block if it has not ended by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.local.dummy_stack", str(folder), json.dumps(plan)],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(folder), "START_TIMEOUT": f"PT{start_timeout_s}S"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Run(folder, process)
    finally:
        process.kill()
        process.communicate()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended; a zombie has, though nobody has taken note of it."""

    def lives(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process for process in processes if lives(process)]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_signal_stops_all_in_reverse_order(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, stages=[["first:steady"], ["second:steady"]]) as run:
        run.wait_up()
        started = run.descendants()
        run.process.send_signal(number)
        code, out, _ = run.end()
    assert code == 0
    assert run.events() == ["started first", "started second", "stopped second", "stopped first"]
    assert not alive(started)
    assert f"the data is kept in {tmp_path}" in out


def test_signal_during_the_start_stops_what_has_started(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["first:steady"], ["silent"], ["never:steady"]]) as run:
        eventually(lambda: "started silent" in run.events())
        run.process.send_signal(signal.SIGINT)
        code, _, _ = run.end()
    assert code == 0
    assert run.events()[2:] == ["stopped silent", "stopped first"]


def test_part_that_takes_its_time_is_asked_to_stop_only_once(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["steady", "leisurely"]]) as run:
        run.wait_up()
        run.process.send_signal(signal.SIGTERM)
        run.end()
    assert sorted(run.events()[2:]) == ["stopped leisurely", "stopped steady"]


def test_part_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["steady"], ["stubborn"]]) as run:
        run.wait_up()
        started = run.descendants()
        run.process.send_signal(signal.SIGTERM)
        code, _, _ = run.end()
    assert code == 0
    assert not alive(started)
    assert run.events()[-1] == "stopped steady"


def test_dying_part_stops_all_others_and_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["steady"], ["mortal"]]) as run:
        run.wait_up()
        started = run.descendants()
        code, _, err = run.end()
    assert code == 1
    assert "mortal ended with exit code 3" in err
    assert "| out of ink" in err
    assert str(tmp_path / "logs" / "mortal.log") in err
    assert run.events()[-1] == "stopped steady"
    assert not alive(started)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("unborn", "| no such paper"),
        ("uninstalled", "uninstalled could not be started: [Errno 2]"),
        ("failing-command", "| cannot migrate"),
    ],
)
def test_part_that_does_not_start_ends_the_run(tmp_path: Path, part: str, message: str) -> None:
    with running(tmp_path, stages=[["steady"], [part], ["never:steady"]]) as run:
        code, out, err = run.end()
    assert code == 1
    assert message in err
    assert "Everything answers" not in out
    assert "started never" not in run.events()
    assert "stopped steady" in run.events()


def test_part_that_does_not_answer_in_time_ends_the_run(tmp_path: Path) -> None:
    with running(tmp_path, start_timeout_s=1, stages=[["silent"]]) as run:
        code, _, err = run.end()
    assert code == 1
    assert "silent did not answer within 1 s" in err


def test_command_runs_to_its_end_before_the_next_stage(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["command"], ["steady"]]) as run:
        run.wait_up()
        assert run.events() == ["started command", "done command", "started steady"]


def test_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["stubborn", "parent"]]) as run:
        run.wait_up()
        started = run.descendants()
        assert len(started) == 4  # two parts, the child of one, the guard
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        eventually(lambda: not alive(started))


def test_taken_port_is_named_with_its_setting_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server((LOCALHOST, 0)) as server:
        port = server.getsockname()[1]
        with running(tmp_path, stages=[["steady"]], ports={"SOME_PORT": port}) as run:
            code, _, err = run.end()
    assert code == 1
    assert err == f"Port {port} is taken. Choose another: SOME_PORT={port + 1} make up\n"
    assert run.events() == []


def test_two_settings_with_one_port_are_refused(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, stages=[["steady"]], ports={"ONE": port, "OTHER": port}) as run:
        code, _, err = run.end()
    assert code == 1
    assert err == f"OTHER and ONE are both {port}: change one of them.\n"
    assert run.events() == []


def test_second_run_on_the_same_data_says_who_is_running(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["steady"]]) as first:
        first.wait_up()
        with running(tmp_path, stages=[["intruder:steady"]]) as second:
            code, _, err = second.end()
        assert code == 1
        assert f"already running on {tmp_path} (process {first.process.pid})" in err
        assert first.process.poll() is None
        assert first.events() == ["started steady"]


def test_what_parts_write_only_their_owner_reads(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["steady"]]) as run:
        run.wait_up()
        for file in ("events", "running.json", "logs/steady.log"):
            assert (tmp_path / file).stat().st_mode & 0o777 == 0o600


def test_others_find_it_only_while_it_runs(tmp_path: Path) -> None:
    assert find_running(tmp_path) is None
    with running(tmp_path, stages=[["steady"]]) as run:
        run.wait_up()
        found = find_running(tmp_path)
        assert found is not None
        assert found.environment == {"PORT": "1"}
        run.process.send_signal(signal.SIGINT)
        run.end()
    assert find_running(tmp_path) is None


def test_output_goes_to_a_log_and_that_of_the_product_to_the_terminal_too(tmp_path: Path) -> None:
    with running(tmp_path, stages=[["worker:talking", "quiet:talking"]]) as run:
        run.wait_up()
        eventually(lambda: (tmp_path / "logs" / "quiet.log").read_text().count("line") > 3)
        run.process.send_signal(signal.SIGINT)
        _, out, _ = run.end()
    assert " worker [bold] line" in out.splitlines()
    assert "quiet [bold] line" not in out
