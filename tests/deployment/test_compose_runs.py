"""What docker-compose.yml runs, run: its commands, environment, ports, secrets and health checks,
as plain processes on a PostgreSQL and a Temporal server whose databases and namespace are made by
its own files. No container engine is needed, so none is tested."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from domain.orders import OrderState
from local.mail_inbox.app import create_app as create_inbox
from local.ports import free_port
from local.postgres import binary, embedded_postgres
from local.process import Process
from settings import Settings
from tests.deployment.compose_file import OnThisMachine, read_compose, read_env_file
from tests.deployment.image import ROOT, lay_out
from tests.harness.serving import serving
from tests.harness.shop import shipment
from tests.harness.world import World, attached_world
from workflows.client import connect

COMPOSE = ROOT / "deploy" / "compose"
NAMESPACE = "made-by-the-compose-file"
LISTENING = (4242, 9090, 12111, 8090, 1025, 8025)
START_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([COMPOSE / "make-secrets.sh", folder, "--emulator"], check=True)
    return folder


@pytest.fixture(scope="module")
def machine(
    temporal_address: str, secrets_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OnThisMachine]:
    """A PostgreSQL whose databases are made by the file's script, and ports for the rest."""
    variables = {**read_env_file(COMPOSE / "emulator.env"), "TEMPORAL_NAMESPACE": NAMESPACE}
    services = read_compose(variables)["services"]
    folder = tmp_path_factory.mktemp("image")
    (folder / "data").mkdir()
    with embedded_postgres() as url:
        ports = {port: free_port() for port in LISTENING}
        ports |= {5432: urlsplit(url).port or 0, 7233: int(temporal_address.partition(":")[2])}
        machine = OnThisMachine(
            services,
            lay_out("stand-ins", folder),
            ports,
            {
                "/run/secrets": secrets_folder,
                "/data": folder / "data",
                "/shop": COMPOSE / "sample-shop",
            },
        )
        # The containers' secrets are at another place here, and so are their hosts and ports.
        for secret in ("database_url", "smtp_url"):
            file = secrets_folder / secret
            file.write_text(machine.text(file.read_text()))
        script = machine.text((COMPOSE / "create-databases.sql").read_text())
        subprocess.run(
            [binary("psql"), "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--quiet", url],
            input=script,
            text=True,
            check=True,
        )
        yield machine


def _create_namespace(machine: OnThisMachine) -> None:
    environment = machine.services["temporal-namespace"]["environment"]
    variables = {name: machine.text(text) for name, text in environment.items()}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    subprocess.run(
        ["/bin/sh", COMPOSE / "create-namespace.sh"], env={"PATH": path, **variables}, check=True
    )


@pytest.fixture(scope="module")
async def running(machine: OnThisMachine) -> AsyncIterator[OnThisMachine]:
    """All that the profile `emulator` runs in our image, in the order of `depends_on`."""
    folder = machine.image.root
    inbox = {machine.ports[8025]: create_inbox(folder / "mail", machine.ports[1025])}
    servers = ("stripe-emulator", "carrier", "api", "worker")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(inbox))
        checks = (asyncio.to_thread(machine.is_healthy, name) for name in servers)
        assert not any(await asyncio.gather(*checks))
        await asyncio.gather(
            asyncio.to_thread(_create_namespace, machine), asyncio.to_thread(machine.run, "migrate")
        )
        processes = {
            name: Process(machine.part(name), folder / "logs" / f"{name}.log") for name in servers
        }
        for process in processes.values():
            process.start()
            stack.push_async_callback(asyncio.to_thread, process.stop)
        await asyncio.to_thread(machine.run, "sample-stock")
        for process in processes.values():
            await asyncio.to_thread(process.wait_ready, START_TIMEOUT_S)
        yield machine


@pytest.fixture
async def compose_world(
    running: OnThisMachine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    for name, value in running.environment("api").items():
        if name not in running.image.environment:
            monkeypatch.setenv(name, value)
    settings = Settings()
    client = await connect(
        settings.temporal_address,
        settings.temporal_namespace,
        payload_keys=settings.payload_keys,
    )
    inbox = f"http://127.0.0.1:{running.ports[8025]}"
    async with attached_world(settings, client, inbox) as world:
        yield world


async def test_what_it_starts_fulfills_an_order(compose_world: World) -> None:
    world = compose_world
    download = {"fulfillment": "download", "download_files": "field-notes.txt"}
    session_id = await world.shop.buy(shipment("MUG-BLUE"), download)
    result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    [_] = await world.parcels(session_id)
    assert await world.stock("MUG-BLUE") == 99
    [mail, *_] = await world.mails()
    assert "field-notes.txt" in str(mail)


async def test_the_namespace_keeps_closed_workflows_for_90_days(
    running: OnThisMachine, compose_world: World
) -> None:
    await asyncio.to_thread(_create_namespace, running)  # each `up` does so
    described = await compose_world.client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=NAMESPACE)
    )
    assert described.config.workflow_execution_retention_ttl.ToTimedelta().days == 90


async def test_the_web_ui_is_shown_what_the_keys_encrypt(
    running: OnThisMachine, compose_world: World, tmp_path: Path
) -> None:
    """Asks the codec endpoint that the Web UI's container is started with."""
    stub = tmp_path / "start-ui-server.sh"
    stub.write_text('#!/bin/sh\nprintf %s "$TEMPORAL_CODEC_ENDPOINT"\n')
    stub.chmod(0o755)
    entrypoint = running.services["temporal-ui"]["entrypoint"]
    argv = running.argv("temporal-ui", entrypoint)
    printed = await asyncio.to_thread(subprocess.check_output, argv, cwd=tmp_path)
    endpoint = printed.decode()
    [sealed] = await compose_world.client.data_converter.encode(["as agreed by phone"])
    assert b"phone" not in sealed.data
    origin = running.services["temporal-ui"]["environment"]["TEMPORAL_CORS_ORIGINS"]
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(
            f"{endpoint}/decode",
            content=json_format.MessageToJson(Payloads(payloads=[sealed])),
            headers={"Origin": origin},
        )
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    opened = json_format.Parse(answer.text, Payloads()).payloads[0]
    assert opened.data == b'"as agreed by phone"'


def test_it_writes_nothing_into_the_image(running: OnThisMachine) -> None:
    """Its root file system is read-only."""
    written: list[Any] = [
        path
        for path in running.image.app.rglob("*")
        if path.is_file() and not (ROOT / path.relative_to(running.image.app)).is_file()
    ]
    assert written == []


def test_secrets_that_are_there_stay(secrets_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    shutil.copytree(secrets_folder, folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    (folder / "operator_token").unlink()
    subprocess.run([COMPOSE / "make-secrets.sh", folder], check=True)
    after = {path.name: path.read_text() for path in folder.iterdir()}
    assert before.pop("operator_token") != after.pop("operator_token")
    assert before == after
    assert folder.stat().st_mode & 0o077 == 0
