"""Fixtures over the real parts: PostgreSQL and Temporal once per run, the rest once per test."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import stripe
from hypothesis import settings
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from database.migrate import upgrade
from local.postgres import embedded_postgres
from local.temporal import DYNAMIC_CONFIG, embedded_temporal
from tests.harness.world import World, open_world
from workflows import search
from workflows.client import connect

settings.register_profile("explore")
"""`make explore`: what Hypothesis draws is new each time, and much more."""


@pytest.fixture(scope="session", autouse=True)
def few_certificates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that tests call is plain HTTP on this machine, by a dozen clients for each test.

    Each of them loads all authorities of the world, which took a third of a test's own time.
    """
    bundle = Path(stripe.ca_bundle_path).read_text()
    end = "-----END CERTIFICATE-----\n"
    one = tmp_path_factory.mktemp("certificates") / "one.pem"
    one.write_text(bundle.partition(end)[0] + end)
    os.environ["SSL_CERT_FILE"] = str(one)
    stripe.ca_bundle_path = str(one)


@pytest.fixture(scope="session")
def migrated_url() -> Iterator[str]:
    """An embedded PostgreSQL whose first database is migrated, and the model of all others."""
    with embedded_postgres() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="module")
def database_url(migrated_url: str) -> Iterator[str]:
    """A migrated database of the module's own.

    What a sweep finds must not depend on which modules ran before in the same process.
    """
    name = f"tests_{uuid4().hex}"
    model = conninfo_to_dict(migrated_url)["dbname"]
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(str(model)))
        )
    yield urlsplit(migrated_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """An embedded Temporal server, as `make up` runs it, but quick to delete a workflow."""
    quick = {"history.transferProcessorUpdateAckInterval": "1s"}
    with embedded_temporal(dynamic_config={**DYNAMIC_CONFIG, **quick}) as address:
        yield address


@pytest.fixture(scope="session")
async def client(temporal_address: str) -> Client:
    """A client of the embedded Temporal server."""
    return await connect(temporal_address, "default")


@pytest.fixture
async def world(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> AsyncIterator[World]:
    """Everything but a worker."""
    async with open_world(database_url, client, temporal_address, tmp_path) as opened:
        yield opened


@pytest.fixture
async def skipping_world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose Temporal server skips time while nothing happens."""
    server = Path(sys.executable).with_name("temporal-test-server")
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server), data_converter=pydantic_data_converter
    ) as environment:
        # It cannot list them, so that a worker cannot tell whether they are there.
        await search.register(environment.client)
        address = environment.client.service_client.config.target_host
        async with open_world(database_url, environment.client, address, tmp_path) as opened:
            opened.skip = environment.sleep
            yield opened
