"""Draws mutants of the core and has the tests judge them: `make mutate`.

Works in a copy of what is committed, in `.local/mutation`, since Cosmic Ray writes mutants into the
files.
"""

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

COSMIC_RAY = "cosmic-ray@8.7.0"
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".local" / "mutation"
COPY = FOLDER / "checkout"
SESSION = FOLDER / "session.sqlite"
SURVIVORS = FOLDER / "survivors.diff"
CONFIG = Path("tests") / "mutation" / "config.toml"
VERDICTS = ("killed", "timeout", "survived", "incompetent")


def main() -> None:
    """Runs a check, and prints each module's score."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--sample", type=int, default=130, help="how many mutants; 0: all")
    parser.add_argument("--seed", type=int, default=9, help="which ones are drawn")
    parser.add_argument("--only", default="", help="of modules whose path has this in it")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument(
        "--again", action="store_true", help="the survivors of the last run, with what is committed"
    )
    asked = parser.parse_args()
    console = Console()
    if asked.again:
        _forget_survivors()
        _copy()
    elif not asked.resume:
        shutil.rmtree(FOLDER, ignore_errors=True)
        _copy()
        _cosmic_ray("init", str(CONFIG), str(SESSION))
        drawn, of = _draw(asked.sample, asked.seed, asked.only)
        console.print(f"{drawn} of {of} mutants, drawn with seed {asked.seed}")
    os.nice(10)
    with _fork_server():
        if not asked.resume:
            console.print("All tests without a mutant")
            judge = [sys.executable, "-m", "tests.mutation.judge"]
            # Those that fail, such as for lack of time on a busy machine, are shown no mutant.
            subprocess.run(judge, cwd=COPY, check=False)
        _cosmic_ray("exec", str(CONFIG), str(SESSION))
    _report(console)


def _copy() -> None:
    """Clones what is committed, with the virtual environment of the checkout."""
    shutil.rmtree(COPY, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, COPY], check=True)  # noqa: S607 - our own words only
    (COPY / ".venv").symlink_to(ROOT / ".venv")


def _cosmic_ray(*arguments: str) -> None:
    argv = [sys.executable, "-m", "uv", "tool", "run", "--quiet", COSMIC_RAY, *arguments]
    subprocess.run(argv, cwd=COPY, check=True)


def _draw(sample: int, seed: int, only: str) -> tuple[int, int]:
    """Leaves in the session only the mutants that are to be judged; of how many there were."""
    operators = tomllib.loads((COPY / CONFIG).read_text())["operators"]["names"]
    with closing(sqlite3.connect(SESSION)) as connection, connection:
        rows = connection.execute(
            "SELECT module_path, operator_name, occurrence, job_id FROM mutation_specs"
        ).fetchall()
        # In the order of what they are, since their IDs are new each time.
        mutants = sorted(row for row in rows if row[1] in operators and only in row[0])
        size = min(sample or len(mutants), len(mutants))
        drawn = {row[3] for row in random.Random(seed).sample(mutants, size)}  # noqa: S311 - to be drawn again
        others = [(row[3],) for row in rows if row[3] not in drawn]
        connection.executemany("DELETE FROM mutation_specs WHERE job_id = ?", others)
        connection.executemany("DELETE FROM work_items WHERE job_id = ?", others)
    return size, len(mutants)


def _forget_survivors() -> None:
    with closing(sqlite3.connect(SESSION)) as connection, connection:
        connection.execute("DELETE FROM work_results WHERE output LIKE 'survived%'")


@contextmanager
def _fork_server() -> Iterator[None]:
    """Where test runs are split off, for as long as the block."""
    place = FOLDER / "fork_server"
    place.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "tests.mutation.fork_server", str(place)]
    with subprocess.Popen(
        argv, cwd=COPY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        # It says that it listens; at the end of the block its input ends, and then it does.
        if server.stdout is None or not server.stdout.readline():
            sys.exit("the servers do not start")
        yield


def _report(console: Console) -> None:
    scores: dict[str, Counter[str]] = defaultdict(Counter)
    survivors = []
    with closing(sqlite3.connect(SESSION)) as connection:
        for module, operator, occurrence, output, diff in connection.execute(
            "SELECT module_path, operator_name, occurrence, output, diff FROM mutation_specs "
            "JOIN work_results USING (job_id) ORDER BY 1, 2, 3"
        ):
            verdict = output.partition(":")[0].strip()
            # What Cosmic Ray could not try has a traceback for an output.
            scores[module][verdict if verdict in VERDICTS else "incompetent"] += 1
            if verdict == "survived":
                survivors.append(f"# {operator} {occurrence}\n{diff}\n")
    scores["all"] = sum(scores.values(), Counter())
    table = Table("module", "mutants", *VERDICTS)
    for module, score in scores.items():
        table.add_row(module, str(score.total()), *(str(score[verdict]) for verdict in VERDICTS))
    console.print(table)
    SURVIVORS.write_text("\n".join(survivors))
    console.print(f"What survived: {SURVIVORS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
