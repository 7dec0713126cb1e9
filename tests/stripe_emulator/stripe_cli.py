"""Runs Stripe's official CLI against the emulator, cut off from everything else."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from .conftest import API_KEY

TIMEOUT_S = 30


def find_cli() -> str | None:
    """The CLI named by STRIPE_CLI, on the PATH, or among this project's node modules."""
    local = Path("node_modules/.bin/stripe")
    return (
        os.environ.get("STRIPE_CLI")
        or shutil.which("stripe")
        or (str(local.absolute()) if local.exists() else None)
    )


class StripeCli:
    """The CLI with its own empty configuration and no way to the network."""

    def __init__(self, binary: str, base_url: str, home: Path) -> None:
        self._binary = binary
        self._base = ["--api-base", base_url]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "STRIPE_API_KEY": API_KEY,
            "STRIPE_DEVICE_NAME": "tests",
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
        }

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
            self._binary,
            *arguments,
            *self._base,
            env=self._environment,
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
