"""`make up` with small programs instead of the real parts.

    python -m tests.local.dummy_stack FOLDER '{"stages": [["first"], ["second", "third"]], …}'

A part is one of the `PROGRAMS`, optionally under another name: `NAME:PROGRAM`. Each program
notes in FOLDER/events when it starts and when it is asked to stop.
"""

import json
import sys
from pathlib import Path

from local import up
from local.blueprint import ROOT, Blueprint
from local.process import Part
from settings import LocalSettings

PREAMBLE = """
import pathlib, signal, subprocess, sys, time
name, events = sys.argv[1], pathlib.Path(sys.argv[2])
def note(what):
    with events.open("a") as file:
        file.write(f"{what} {name}\\n")
def stop(*_):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
"""
PROGRAMS = {
    "steady": "print('ready', flush=True)\ntime.sleep(600)",
    "talking": (
        "print('ready', flush=True)\n"
        "while True:\n    time.sleep(0.3)\n    print('[bold] line', flush=True)"
    ),
    "stubborn": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(600)"
    ),
    "leisurely": (
        "def stop_leisurely(*_):\n    note('stopped')\n    time.sleep(0.5)\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop_leisurely)\nprint('ready', flush=True)\ntime.sleep(600)"
    ),
    "parent": (
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    ),
    "silent": "time.sleep(600)",
    "mortal": (
        "print('ready', flush=True)\ntime.sleep(0.5)\nprint('out of ink', flush=True)\nsys.exit(3)"
    ),
    "unborn": "sys.exit('no such paper')",
    "uninstalled": "",
    "command": "note('done')",
    "failing-command": "sys.exit('cannot migrate')",
}


def dummy(spec: str, folder: Path) -> Part:
    """One of the programs as a part."""
    name, _, program = spec.rpartition(":")
    code = PREAMBLE + PROGRAMS[program]
    python = "/no/such/program" if program == "uninstalled" else sys.executable
    return Part(
        name=name or program,
        argv=[python, "-c", code, name or program, str(folder / "events")],
        cwd=ROOT,
        ready=None if program.endswith("command") else lambda process: "ready" in process.output(),
        # Long enough for a busy machine; the one that is to be killed need not be waited for.
        stop_timeout_s=1.0 if program == "stubborn" else 15.0,
    )


def main() -> None:
    """Runs the stack that the command line describes."""
    folder, plan = Path(sys.argv[1]), json.loads(sys.argv[2])

    def design(_: LocalSettings) -> Blueprint:
        return Blueprint(
            folder=folder,
            stages=[[dummy(spec, folder) for spec in stage] for stage in plan["stages"]],
            ports=plan.get("ports", {}),
            urls={"API": "http://127.0.0.1:1/docs"},
            environment={"PORT": "1"},
        )

    up.main(design)


if __name__ == "__main__":
    main()
