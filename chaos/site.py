"""All of it as real processes, kept running as a supervisor would, with a proxy on every wire.

The service reaches PostgreSQL, Temporal and the systems outside through proxies, and customers and
Stripe reach the API through one, so that each wire can be cut or slowed down. What sells and what
audits goes to the systems themselves.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from chaos.plan import Target
from chaos.proxy import Proxy, serving
from local.blueprint import Blueprint, draw
from local.ports import LOCALHOST, free_port, renew_claims
from local.process import Part, PartFailedError, Process
from local.stack import free_settings
from local.supervisor import Supervisor

START_TIMEOUT_S = 90.0
LOOK_EVERY_S = 0.2
RESTART_DELAY_S = 0.5
"""What a supervisor waits before it starts again what has ended."""
APP_TOKEN = "the-app-token-of-chaos"  # noqa: S105 - of a stack that only lives for the run
DELETE_QUICKLY = ("--dynamic-config-value", 'history.transferProcessorUpdateAckInterval="1s"')
"""Has Temporal forget a workflow within seconds, so that the run sees what follows."""
TIME_SCALE = "10"
"""Stripe delivers again so much sooner than it documents."""
SETTINGS = {
    "APP_TOKEN": APP_TOKEN,
    # All customers come from one address.
    "VISITS_PER_MINUTE": "0",
    # Nothing that has to notice stands before it.
    "API_DRAIN_SECONDS": "0",
}


@dataclass
class Site:
    """What runs.

    Attributes:
        environment: The service's settings, as it reaches everything without proxies.
        urls: Where people and clients find the parts, by name.
        public_url: Where customers and Stripe reach the API.
        processes: By the name of the part.
        proxies: The wire to each target.
        ended: How often each process has ended by itself, and was started again.
    """

    environment: dict[str, str]
    urls: dict[str, str]
    public_url: str
    processes: dict[str, Process]
    proxies: dict[Target, Proxy]
    ended: dict[str, int] = field(default_factory=dict)
    _held_down: set[str] = field(default_factory=set)

    async def kill(self, target: Target) -> None:
        """Ends a process as kill -9 does; it stays down until `let_run`."""
        self.hold_down(target)
        await asyncio.to_thread(self.processes[target].kill)

    async def stop(self, target: Target) -> None:
        """Ends a process in good order; it stays down until `let_run`."""
        self.hold_down(target)
        await asyncio.to_thread(self.processes[target].stop)

    def hold_down(self, target: Target) -> None:
        """Lets a process that ends stay down until `let_run`; its port is nobody else's."""
        renew_claims()
        self._held_down.add(target)

    async def let_run(self, target: Target) -> None:
        """Has a process started again, and waits until it answers, if it can."""
        self._held_down.discard(target)
        with suppress(TimeoutError):
            # Without Temporal, say, an API answers only when that is back.
            await self.wait_ready(target, timeout_s=START_TIMEOUT_S / 3)

    async def wait_ready(self, name: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Waits until a process answers.

        Raises:
            TimeoutError: It did not in time.
        """
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(self._answers, name):  # noqa: ASYNC110 - a process
                await asyncio.sleep(LOOK_EVERY_S)

    def pids(self, target: Target) -> list[psutil.Process]:
        """A running process and all that it has started."""
        try:
            process = psutil.Process(self.processes[target].pid)
            return [process, *process.children(recursive=True)]
        except (psutil.NoSuchProcess, ValueError):
            return []

    def is_down(self, target: Target) -> bool:
        """Whether a process has ended."""
        return not self._runs(target)

    async def keep_running(self) -> None:
        """Starts again whatever has ended, for ever, but what is held down."""
        while True:
            for name, process in self.processes.items():
                if name in self._held_down or self._runs(name):
                    continue
                if process.is_started:
                    self.ended[name] = self.ended.get(name, 0) + 1
                await asyncio.to_thread(process.kill)
                await asyncio.sleep(RESTART_DELAY_S)
                # PostgreSQL, for one, may find a process of its last life still there.
                with suppress(PartFailedError):
                    await asyncio.to_thread(process.start)
            await asyncio.sleep(LOOK_EVERY_S)

    def _runs(self, name: str) -> bool:
        process = self.processes[name]
        try:
            process.check()
        except PartFailedError:
            return False
        return process.is_started

    def _answers(self, name: str) -> bool:
        try:
            return self._runs(name) and self.processes[name].probe()
        except PartFailedError:
            return False


@asynccontextmanager
async def open_site(logs: Path) -> AsyncIterator[Site]:
    """Starts all of it, and runs it for as long as the block.

    Args:
        logs: The folder of the log files, one per process, which are there afterwards too.

    Raises:
        PartFailedError: A part could not start; the message tells why.
    """
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        blueprint = draw(free_settings(folder, payload_keys=""), only_orders=True)
        blueprint.environment |= SETTINGS
        proxies = _proxies(blueprint)
        stages = _stages(blueprint, proxies)
        supervisor = Supervisor(stages, logs, START_TIMEOUT_S)
        async with serving(*proxies.values()):
            try:
                await asyncio.to_thread(supervisor.start)
                site = Site(
                    environment=blueprint.environment,
                    urls=blueprint.urls,
                    public_url=blueprint.environment["PUBLIC_URL"],
                    processes={
                        each: process
                        for each, process in supervisor.processes.items()
                        if process.part.ready is not None
                    },
                    proxies=proxies,
                )
                keeping = asyncio.create_task(site.keep_running())
                try:
                    yield site
                finally:
                    keeping.cancel()
                    with suppress(asyncio.CancelledError):
                        await keeping
            finally:
                await asyncio.to_thread(supervisor.stop)


def _proxies(blueprint: Blueprint) -> dict[Target, Proxy]:
    ports = blueprint.ports
    return {
        Target.POSTGRES: Proxy(ports["POSTGRES_PORT"]),
        Target.TEMPORAL: Proxy(ports["TEMPORAL_PORT"]),
        Target.STRIPE: Proxy(ports["STRIPE_EMULATOR_PORT"]),
        Target.CARRIER: Proxy(ports["CARRIER_PORT"]),
        Target.MAIL: Proxy(ports["SMTP_PORT"]),
        # Customers and Stripe know the public port; the API itself listens on another.
        Target.API: Proxy(free_port(), port=ports["PORT"]),
    }


def _stages(blueprint: Blueprint, proxies: dict[Target, Proxy]) -> list[list[Part]]:
    """The parts of `make up`, with two workers, and with proxies on their wires."""
    behind = _through(blueprint.environment, proxies)
    stages = []
    for stage in blueprint.stages:
        parts: list[Part] = []
        for part in stage:
            match part.name:
                case "worker":
                    env = {**part.env, **behind}
                    workers = (Target.WORKER_1, Target.WORKER_2)
                    parts += [replace(part, name=worker, env=env) for worker in workers]
                case "api":
                    parts.append(_api(part, behind, proxies[Target.API].target))
                case "temporal":
                    parts.append(replace(part, argv=[*part.argv, *DELETE_QUICKLY]))
                case "stock":
                    # Of the sample shop, which sells nothing here.
                    continue
                case "stripe":
                    argv = [*part.argv, "--time-scale", TIME_SCALE]
                    parts.append(replace(part, argv=argv))
                case _:
                    parts.append(part)
        stages.append(parts)
    return stages


def _through(environment: dict[str, str], proxies: dict[Target, Proxy]) -> dict[str, str]:
    """What the service is told of where everything is."""
    database = urlsplit(environment["DATABASE_URL"])
    login = database.netloc.rpartition("@")[0]
    netloc = f"{login}@{proxies[Target.POSTGRES].address}"
    return {
        **environment,
        "DATABASE_URL": database._replace(netloc=netloc).geturl(),
        "TEMPORAL_ADDRESS": proxies[Target.TEMPORAL].address,
        "STRIPE_API_BASE": f"http://{proxies[Target.STRIPE].address}",
        "CARRIER_URL": f"http://{proxies[Target.CARRIER].address}",
        "SMTP_URL": f"smtp://{proxies[Target.MAIL].address}",
    }


def _api(part: Part, environment: dict[str, str], port: int) -> Part:
    """The API as it runs in production, on a port that only the proxy knows."""

    def is_ready(_: Process) -> bool:
        try:
            url = f"http://{LOCALHOST}:{port}/readyz"
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    argv = [sys.executable, "-m", "api"]
    env = {**part.env, **environment, "PORT": str(port)}
    return replace(part, argv=argv, env=env, ready=is_ready)
