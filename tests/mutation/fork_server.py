"""Splits off a test run for each mutant, with all libraries imported and the servers up.

To import the libraries and to start PostgreSQL and Temporal takes ten seconds, which is more than
most mutants live. Our own modules are imported anew in each run: one of them is the mutant. The
first run is of all tests without a mutant, and notes which of them come by which line: a mutant is
shown to those that come by its lines, the quickest first.

It is run in the copy of the checkout that is mutated, with the path of the Unix socket to listen
on, and ends when its standard input does.
"""

import importlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import tomllib
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

from tests.harness.requests import asked_until_input_ends

CONFIG = Path(__file__).with_name("config.toml")
SEEN = Path("..") / "seen.json"
"""Which tests come by which line, and how long each takes."""
LOG = Path("..") / "last_run.log"
TEST_TIMEOUT_S = 30
"""The longest of these tests takes six seconds; an order that does not end, for ever."""
RUN_TIMEOUT_S = 150
"""For all tests of a mutant: what one of them broke may also keep it from ending."""
OBSERVING_TIMEOUT_S = 1800
"""For all tests together, without a mutant."""
AROUND = 6
"""So many lines before and after a mutated one tell which tests are about it."""
QUICK_S = 25.0
"""How long the tests for one mutant may take together, by what they took without it."""


class Served:
    """A pytest plugin: the servers that run already.

    Args:
        servers: Where they are, by the names of their fixtures.
    """

    def __init__(self, servers: dict[str, str]) -> None:
        self._servers = servers

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> str | None:
        """Gives a fixture the server that is there, in place of one of its own."""
        address = self._servers.get(fixturedef.argname)
        if address is not None:
            fixturedef.cached_result = (address, fixturedef.cache_key(request), None)
        return address


class Witness(Served):
    """Tells which test fails first.

    Args:
        servers: Where PostgreSQL and Temporal are.
        tell: Is told of the failure at once, and ends the process: what a mutant has broken may
            take long to clean up.
    """

    def __init__(self, servers: dict[str, str], tell: Callable[[str], NoReturn]) -> None:
        super().__init__(servers)
        self._tell = tell

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes what a failure says of the mutant."""
        if report.failed:
            # What was raised; where it was nothing of Python's, the whole report.
            crash = getattr(report.longrepr, "reprcrash", None)
            raised = report.longreprtext if crash is None else crash.message
            by = "timeout" if "Timeout" in raised.partition("\n")[0] else "killed"
            self._tell(f"{by}: {report.nodeid}")


class Observer(Served):
    """Notes which tests come by which lines of what is mutated, and how long they take.

    Args:
        servers: Where PostgreSQL and Temporal are.
        modules: What is mutated.

    Attributes:
        failed: The tests that fail without a mutant, and so tell nothing of one.
    """

    def __init__(self, servers: dict[str, str], modules: list[str]) -> None:
        super().__init__(servers)
        self._modules = {str(Path.cwd() / module): module for module in modules}
        self._test = ""
        self._lines: dict[str, set[str]] = defaultdict(set)
        self._times_s: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        module = self._modules.get(frame.f_code.co_filename)
        if module is None:
            return None
        if event == "line":
            self._lines[f"{module}:{frame.f_lineno}"].add(self._test)
        return self._trace

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Knows what runs now."""
        self._test = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes how long it took."""
        self._times_s[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Writes down what was seen."""
        sys.settrace(None)
        lines = {line: sorted(tests - self.failed - {""}) for line, tests in self._lines.items()}
        SEEN.write_text(json.dumps({"lines": lines, "times_s": self._times_s}))


def main() -> None:
    """Serves runs until the standard input ends, then exits."""
    argv = [sys.executable, "-m", "tests.mutation.servers"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kept:
        assert kept.stdout is not None
        servers = json.loads(kept.stdout.readline())
        _import_libraries()
        for connection in asked_until_input_ends():
            with connection:
                connection.sendall(_judge(servers).encode())


def _import_libraries() -> None:
    """Imports what the tests import, but for what is ours: that is to be the mutant's."""
    argv = [sys.executable, "-c", "import sys, tests.conftest; print(*sys.modules)"]
    listed = subprocess.run(argv, check=True, capture_output=True, text=True)
    ours = {path.stem for path in Path.cwd().iterdir()}
    for module in listed.stdout.split():
        if module.partition(".")[0] not in ours | {"__main__"}:
            # Some exist only by what another has put there.
            with suppress(ImportError):
                importlib.import_module(module)


def _judge(servers: dict[str, str]) -> str:
    """What the tests say of the mutant in the working folder."""
    reader, writer = os.pipe()
    run = os.fork()
    if run == 0:
        # Of its own session, so that all that it has started can be ended with it.
        os.setsid()
        os.close(reader)

        def tell(verdict: str) -> NoReturn:
            os.write(writer, verdict.encode())
            os._exit(0)

        tell(_run_tests(servers, tell))
    os.close(writer)
    timeout_s = RUN_TIMEOUT_S if _mutated_lines() else OBSERVING_TIMEOUT_S
    ready, _, _ = select.select([reader], [], [], timeout_s)
    verdict = os.read(reader, 4096).decode() if ready else f"timeout: {timeout_s} s"
    os.close(reader)
    with suppress(ProcessLookupError):
        os.killpg(run, signal.SIGKILL)
    os.waitpid(run, 0)
    return verdict or "killed: the process ended"


def _run_tests(servers: dict[str, str], tell: Callable[[str], NoReturn]) -> str:
    # What was imported of ours to get here may be the mutant's, too.
    for module in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[module]
    # Mutants follow each other within the second by which compiled code is told from newer source.
    sys.dont_write_bytecode = True
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    config = tomllib.loads(CONFIG.read_text())
    options = ["-q", "-p", "no:cacheprovider", "--timeout", str(TEST_TIMEOUT_S)]
    # The asserts of what is imported already are not rewritten.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options += [f"--deselect={test}" for test in config["tests"]["left_out"]]
    mutated = _mutated_lines()
    if not mutated:
        observer = Observer(servers, config["cosmic-ray"]["module-path"])
        pytest.main([*options, *config["tests"]["files"]], plugins=[observer])
        return f"{len(observer.failed)} tests fail without a mutant: {sorted(observer.failed)}"
    tests = _tests_by(mutated)
    if not tests:
        return "survived: no test comes by"
    ended = pytest.main([*options, *tests], plugins=[Witness(servers, tell)])
    return "survived" if ended is pytest.ExitCode.OK else "incompetent: it cannot be imported"


def _mutated_lines() -> list[str]:
    """The lines that the mutant differs in, as `module:line`."""
    argv = ["git", "diff", "--unified=0", "--no-prefix"]
    diff = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    lines = []
    module = ""
    for line in diff.splitlines():
        if line.startswith("--- "):
            module = line.removeprefix("--- ")
        elif found := re.match(r"@@ -(\d+)(?:,(\d+))? ", line):
            first, count = int(found[1]), int(found[2] or 1)
            lines += [f"{module}:{number}" for number in range(first, first + count)]
    return lines


def _tests_by(mutated: list[str]) -> list[str]:
    """The tests that come by these lines; all, where they run when a module is imported.

    First those that few others follow to the lines around, for the time that they take: they are
    about what is mutated. As many as fit into the time for one mutant.
    """
    seen = json.loads(SEEN.read_text())
    lines: dict[str, list[str]] = seen["lines"]
    times_s: dict[str, float] = seen["times_s"]
    by = {test for line in mutated for test in lines.get(line, ())}
    if any(lines.get(line) == [] for line in mutated):
        by = set(times_s)
    about: dict[str, float] = defaultdict(float)
    for line in _around(mutated):
        tests = lines.get(line, ())
        for test in tests:
            about[test] += 1 / len(tests)
    budget_s = QUICK_S
    chosen = []
    for test in sorted(by, key=lambda test: (-about[test] / (times_s[test] + 0.5), test)):
        if times_s[test] <= budget_s:
            chosen.append(test)
            budget_s -= times_s[test]
    return chosen


def _around(mutated: list[str]) -> set[str]:
    places = [line.split(":") for line in mutated]
    near = range(-AROUND, AROUND + 1)
    return {f"{module}:{int(number) + offset}" for module, number in places for offset in near}


if __name__ == "__main__":
    main()
