"""API and worker as processes of their own, as they run in production, in front of one world."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from local.blueprint import WORKER_READY_LINE
from local.process import Part, Process
from tests.commands.programs import ROOT, environment
from tests.harness.world import World

START_TIMEOUT_S = 60.0


@asynccontextmanager
async def programs(
    world: World, folder: Path, variables: Mapping[str, str]
) -> AsyncIterator[dict[str, Process]]:
    """Runs both for as long as the block, then has them stop in good order.

    Args:
        world: One whose `public_url` is free.
        folder: Where they run; they read its `.env`.
        variables: What their environment says beside the world's settings.
    """
    port = str(urlsplit(world.settings.public_url).port)
    env = {**environment(world.settings), "PORT": port, "PYTHONPATH": str(ROOT), **variables}

    def answers(_: Process) -> bool:
        try:
            return httpx.get(f"{world.settings.public_url}/readyz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    commands = {
        "worker": (
            [str(ROOT / "worker.py")],
            lambda process: WORKER_READY_LINE in process.output(),
        ),
        "api": (["-m", "api"], answers),
    }
    running = {
        name: Process(
            Part(name=name, argv=[sys.executable, *argv], ready=ready, env=env, cwd=folder),
            folder / f"{name}.log",
        )
        for name, (argv, ready) in commands.items()
    }
    try:
        for process in running.values():
            process.start()
        for process in running.values():
            await asyncio.to_thread(process.wait_ready, START_TIMEOUT_S)
        yield running
    finally:
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in running.values()))
