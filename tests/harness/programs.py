"""API and worker as processes of their own, as they run in production, in front of one world."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from local.blueprint import WORKER_READY_LINE, WORKER_STOP_TIMEOUT_S
from local.process import Part, Process
from tests.commands.programs import ROOT, environment
from tests.harness.world import World

START_TIMEOUT_S = 60.0
API_STOP_TIMEOUT_S = 20.0
"""More than it drains and then waits for requests."""


def worker_process(
    world: World, folder: Path, variables: Mapping[str, str], name: str = "worker"
) -> Process:
    """A worker that is not started yet.

    Args:
        world: Whose.
        folder: Where it runs; it reads its `.env`, and leaves its log there.
        variables: What its environment says beside the world's settings.
        name: Also of its log.
    """
    return Process(
        Part(
            name=name,
            argv=[sys.executable, str(ROOT / "worker.py")],
            ready=lambda process: WORKER_READY_LINE in process.output(),
            env=_environment(world, variables),
            cwd=folder,
            stop_timeout_s=WORKER_STOP_TIMEOUT_S,
        ),
        folder / f"{name}.log",
    )


def api_process(
    world: World, folder: Path, variables: Mapping[str, str], port: int, name: str = "api"
) -> Process:
    """An API that is not started yet, on a port of its own; see `worker_process`."""

    def answers(_: Process) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    return Process(
        Part(
            name=name,
            argv=[sys.executable, "-m", "api"],
            ready=answers,
            env=_environment(world, {**variables, "PORT": str(port)}),
            cwd=folder,
            stop_timeout_s=API_STOP_TIMEOUT_S,
        ),
        folder / f"{name}.log",
    )


def _environment(world: World, variables: Mapping[str, str]) -> dict[str, str]:
    return {**environment(world.settings), "PYTHONPATH": str(ROOT), **variables}


@asynccontextmanager
async def running(processes: list[Process]) -> AsyncIterator[None]:
    """Runs processes for as long as the block, then has them stop in good order."""
    try:
        await start(*processes)
        yield
    finally:
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in processes))


async def start(*processes: Process) -> None:
    """Starts processes together, and waits until all of them answer."""
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.wait_ready, START_TIMEOUT_S)


@asynccontextmanager
async def programs(
    world: World, folder: Path, variables: Mapping[str, str]
) -> AsyncIterator[dict[str, Process]]:
    """Runs a worker and an API for as long as the block.

    Args:
        world: One whose `public_url` is free.
        folder: Where they run; they read its `.env`.
        variables: What their environment says beside the world's settings.
    """
    port = urlsplit(world.settings.public_url).port
    assert port is not None
    # Nothing stands before it that has to notice.
    variables = {"API_DRAIN_SECONDS": "0", **variables}
    both = {
        "worker": worker_process(world, folder, variables),
        "api": api_process(world, folder, variables, port),
    }
    async with running(list(both.values())):
        yield both
