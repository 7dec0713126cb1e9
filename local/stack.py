"""A temporary stack on free ports, for tests, the demo and benchmarks.

async with Stack() as stack:
... httpx.get(stack.urls["Shop"]) ...
await stack.kill("worker")
await stack.start("worker")
"""

import asyncio
import tempfile
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from local.blueprint import draw
from local.ports import free_port
from local.supervisor import Supervisor
from settings import LocalSettings

START_TIMEOUT_S = 90.0


class Stack:
    """The parts of `make up` in a temporary folder, started and stopped by name.

    Args:
        parts: the names of the parts to run; None runs all. The others' ports stay reserved
            in `environment` for whatever the caller runs there.
        only_orders: whether nothing goes on beside orders, so that only they are measured.
        payload_keys: what encrypts what Temporal keeps; empty: nothing does.

    Attributes:
        environment: the product's settings, as environment variables.
        urls: where people and clients find the parts, by name.
    """

    def __init__(
        self,
        parts: Collection[str] | None = None,
        *,
        only_orders: bool = False,
        payload_keys: str = "",
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="stack-")
        folder = Path(self._temporary.name)
        blueprint = draw(free_settings(folder, payload_keys), only_orders=only_orders)
        self.environment = blueprint.environment
        self.urls = blueprint.urls
        stages = [
            [part for part in stage if parts is None or part.name in parts]
            for stage in blueprint.stages
        ]
        self._supervisor = Supervisor(stages, folder / "logs", START_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._supervisor.start)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def start(self, name: str) -> None:
        """Starts a part that does not run, and waits until it answers.

        Raises:
            PartFailedError: it did not.
        """
        process = self._supervisor.processes[name]
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(process.wait_ready, START_TIMEOUT_S)

    async def stop(self, name: str) -> None:
        """Stops a part in good order."""
        await asyncio.to_thread(self._supervisor.processes[name].stop)

    async def kill(self, name: str) -> None:
        """Ends a part as kill -9 does."""
        await asyncio.to_thread(self._supervisor.processes[name].kill)

    def pid(self, name: str) -> int:
        """The process number of a running part; ValueError when it does not run."""
        return self._supervisor.processes[name].pid

    def log(self, name: str) -> Path:
        """The part's log file."""
        return self._supervisor.processes[name].log

    async def _close(self) -> None:
        await asyncio.to_thread(self._supervisor.stop)
        self._temporary.cleanup()


def free_settings(folder: Path, payload_keys: str) -> LocalSettings:
    """What a temporary stack runs with: nothing taken over from the environment or `.env`.

    Args:
        folder: Where its parts keep their data.
        payload_keys: What encrypts what Temporal keeps; empty: nothing does.
    """
    return LocalSettings(
        temporal_payload_keys=payload_keys,
        data_dir=folder,
        port=free_port(),
        postgres_port=free_port(),
        temporal_port=free_port(),
        temporal_ui_port=free_port(),
        stripe_emulator_port=free_port(),
        smtp_port=free_port(),
        inbox_port=free_port(),
        carrier_port=free_port(),
        merchant_port=free_port(),
        stripe_api_key="",
        stripe_webhook_secrets="",
        database_url="",
        temporal_address="",
        smtp_url="",
        carrier_url="",
        public_url="",
        operator_token="",
        app_webhook_url="",
    )
