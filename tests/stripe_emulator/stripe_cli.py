"""Drives Stripe's official CLI as `make stripe` runs it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.stripe_cli import MISSING, StripeCli, find_cli
from settings import LocalSettings

from .conftest import API_KEY

TIMEOUT_S = 30
CLI = find_cli(LocalSettings().stripe_cli)

needs_cli = pytest.mark.skipif(CLI is None, reason=MISSING)


class CliRunner:
    """The CLI against an emulator, with its own empty configuration."""

    def __init__(self, base_url: str, home: Path) -> None:
        assert CLI is not None
        self._cli = StripeCli(binary=CLI, base_url=base_url, api_key=API_KEY, home=home)

    async def run(self, *arguments: str) -> str:
        """Run a command to its end; answers everything it printed."""
        process = await self._start(*arguments)
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        text = output.decode()
        assert process.returncode == 0, f"stripe {' '.join(arguments)}:\n{text}"
        return text

    @contextlib.asynccontextmanager
    async def listening(self, *arguments: str) -> AsyncIterator["Listener"]:
        """`stripe listen`, ready; it is stopped at the end."""
        process = await self._start("listen", *arguments)
        listener = Listener(process)
        try:
            await listener.wait_for_line("Ready!")
            yield listener
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the npm package runs the CLI below node
            await asyncio.wait_for(process.communicate(), TIMEOUT_S)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._cli.command(arguments),
            env=self._cli.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )


class Listener:
    """What `stripe listen` prints, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def wait_for_line(self, text: str) -> str:
        """The next line that holds the text."""
        assert self._process.stdout is not None
        while True:
            raw = await asyncio.wait_for(self._process.stdout.readline(), TIMEOUT_S)
            assert raw, f"stripe listen ended: {self.lines}"
            self.lines.append(raw.decode())
            if text in self.lines[-1]:
                return self.lines[-1]
