"""Runs the commands as people do: programs with their own environment and folder."""

import asyncio
import atexit
import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from settings import Settings
from tests.harness.world import (
    API_KEY,
    OPERATOR_TOKEN,
    SIGNING_SECRET,
    STANDARD_WEBHOOKS_SECRET,
)

ROOT = Path(__file__).parent.parent.parent
_NEEDED = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Ended:
    """A program that has ended."""

    code: int
    out: str
    err: str


def environment(settings: Settings) -> dict[str, str]:
    """A world's settings as environment variables."""
    return {
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": settings.stripe_api_base,
        "STRIPE_WEBHOOK_SECRETS": ",".join(
            secret.get_secret_value() for secret in settings.stripe_webhook_secrets
        ),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
        "SMTP_URL": settings.smtp_url.get_secret_value(),
        "MAIL_FROM": settings.mail_from,
        "CARRIER_URL": settings.carrier_url,
        "PUBLIC_URL": settings.public_url,
        "OPERATOR_TOKEN": OPERATOR_TOKEN,
        "SIGNING_SECRETS": SIGNING_SECRET,
        "APP_WEBHOOK_SECRETS": STANDARD_WEBHOOKS_SECRET,
        "CARRIER_WEBHOOK_SECRETS": STANDARD_WEBHOOKS_SECRET,
    }


async def run(folder: Path, variables: dict[str, str], *arguments: str) -> Ended:
    """Runs Python with these arguments until it ends.

    Args:
        folder: One without a `.env`.
        variables: All that it sees of the environment, beside what Python needs.
        arguments: Such as `-c` and a program.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**_NEEDED, **variables},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def run_command(folder: Path, variables: dict[str, str], *arguments: str) -> Ended:
    """Runs `fulfillment` with these arguments until it ends; see `preloaded`.

    Args:
        folder: One without a `.env`.
        variables: All that it sees of the environment, beside what Python needs.
        arguments: Such as `stock`, `show`.
    """
    with TemporaryDirectory() as own:
        out, err = Path(own, "out"), Path(own, "err")
        request = {
            "folder": str(folder),
            "variables": {**_NEEDED, **variables},
            "arguments": arguments,
            "out": str(out),
            "err": str(err),
        }
        address = await asyncio.to_thread(_preloaded)
        answers, requests = await asyncio.open_unix_connection(address)
        requests.write(f"{json.dumps(request)}\n".encode())
        code = await asyncio.wait_for(answers.readline(), 60)
        requests.close()
        await requests.wait_closed()
        texts = [await asyncio.to_thread(file.read_text) for file in (out, err)]
        return Ended(int(code), *texts)


@functools.cache
def _preloaded() -> Path:
    """Where the commands are run, from the first one to the end of all tests."""
    folder = TemporaryDirectory()
    address = Path(folder.name, "socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.commands.preloaded", str(address)],
        env=_NEEDED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def end() -> None:
        process.communicate()
        folder.cleanup()

    atexit.register(end)
    assert process.stdout is not None
    process.stdout.readline()
    return address
