"""How programs that reach Temporal end."""

import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, os, sys
from ending import run_to_end

# What crashes while the interpreter ends, as a thread of Temporal's client may.
atexit.register(os.abort)

def main():
    print("said")
    {end}

run_to_end(main)
"""


@pytest.mark.parametrize(
    ("end", "code", "error"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit(True)", 1, ""),
        ("sys.exit('what is wrong')", 1, "what is wrong\n"),
    ],
)
def test_a_program_ends_as_it_asks_for_and_not_by_way_of_the_interpreter(
    end: str, code: int, error: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(end=end)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "said\n", error)


def test_a_defect_is_shown_and_fails() -> None:
    program = "from ending import run_to_end\nrun_to_end(lambda: 1 / 0)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
