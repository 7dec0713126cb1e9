"""What a program's log is made of, as text and as JSON."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_PROGRAM = """
import asyncio, gc, logging, sys, warnings
from structlog.contextvars import bound_contextvars
from domain.errors import TransientError
from ending import run_to_end
from logs import log_to_stderr
from settings import LogFormat
from workflows.client import connect

log_to_stderr(LogFormat(sys.argv[1]))
logger = logging.getLogger("program")

with bound_contextvars(session_id="cs_test_1"):
    logger.info("ordered %d", 2)
logging.getLogger("httpx").info("GET https://shop.example/?session_id=cs_test_1")
warnings.warn("about to change", DeprecationWarning)

address = "jo@example.com"
try:
    try:
        int(address)
    except ValueError as error:
        raise TransientError("busy", "the carrier is busy") from error
except TransientError:
    logger.exception("a defect")
logger.error("nothing is raised", exc_info=True)

async def failing():
    raise ExceptionGroup(address, [KeyError(address)])

async def main():
    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    del task
    gc.collect()
    try:
        await connect("127.0.0.1:1", "default")
    except RuntimeError:
        pass

run_to_end(lambda: asyncio.run(main()))
"""


@cache
def _lines(form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", _PROGRAM, form],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_is_one_object_a_line() -> None:
    lines = [json.loads(line) for line in _lines("json")]
    told = {line["message"].partition("\n")[0]: line for line in lines}
    ordered = told["ordered 2"]
    assert (ordered["level"], ordered["logger"], ordered["session_id"]) == (
        "info",
        "program",
        "cs_test_1",
    )
    assert told["nothing is raised"]["level"] == "error"
    assert [line["logger"] for line in lines if "about to change" in line["message"]] == [
        "py.warnings"
    ]
    assert "httpx" not in {line["logger"] for line in lines}


def test_of_an_exception_place_and_type_are_told_and_only_our_own_words() -> None:
    for form in ("json", "text"):
        text = "\n".join(_lines(form))
        assert "domain.errors.TransientError: the carrier is busy" in text
        assert "builtins.ValueError" in text
        assert "in failing" in text
        assert "builtins.KeyError" in text
        assert "Task exception was never retrieved" in text
        assert "jo@example.com" not in text
