"""What the figures were measured on: machine, versions, and how safely things are stored."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
from sqlalchemy import text
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from database.engine import Database
from local.temporal import SQLITE_PRAGMAS
from settings import Settings

PACKAGES = ("temporalio", "stripe", "fastapi", "uvicorn", "SQLAlchemy", "psycopg", "pydantic")
FSYNC_TRIES = 30
BLOCK_BYTES = 4096


async def describe_machine(client: Client, settings: Settings, folder: Path) -> dict[str, str]:
    """What is worth knowing about the figures, by name.

    Args:
        client: A connection to the Temporal server.
        settings: Where the database is.
        folder: On the disk where everything is stored.
    """
    async with (
        Database(settings.database_url.get_secret_value()) as database,
        database.transaction() as connection,
    ):
        postgres = {
            name: str(await connection.scalar(text(f"SHOW {name}")))
            for name in ("server_version", "fsync", "synchronous_commit")
        }
    temporal = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    memory_gib = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "Machine": f"{os.cpu_count()} cores, {_cpu_model()}, {memory_gib:.0f} GiB",
        "Load before": f"{load} (1, 5, 15 minutes; includes the start of the stack)",
        "Python": f"{platform.python_version()}, {platform.system()} {platform.release()}",
        "Temporal": f"server {temporal.server_version}, SQLite "
        + ", ".join(f"{name}={value}" for name, value in SQLITE_PRAGMAS.items()),
        "PostgreSQL": f"{postgres['server_version']}, fsync={postgres['fsync']}, "
        f"synchronous_commit={postgres['synchronous_commit']}",
        "Packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "fsync": f"{_fsync_ms(folder):.2f} ms for {BLOCK_BYTES} bytes, where the data is",
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _fsync_ms(folder: Path) -> float:
    """The median time of making one block durable."""
    path = folder / "fsync-probe"
    took_ms = []
    with path.open("wb") as file:
        for _ in range(FSYNC_TRIES):
            begun = time.perf_counter()
            file.write(bytes(BLOCK_BYTES))
            file.flush()
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter() - begun) * 1000)
    path.unlink()
    return median(took_ms)
