"""Temporal where it asks for certificates or a key: a real server behind a front with TLS."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client

from connection import connect_by
from domain.orders import OrderState
from tests.commands.programs import environment, run_command
from tests.harness.shop import ACCESS
from tests.harness.tls import SERVER_NAME, Certificates, make_certificates, tls_front
from tests.harness.world import World, open_world

API_KEY = "acetates"
# Of RFC 7541, appendix B, as much as "Bearer acetates" needs.
HUFFMAN_CODE = {
    " ": "010100",
    "B": "1011101",
    "a": "00011",
    "c": "00100",
    "e": "00101",
    "r": "101100",
    "s": "01000",
    "t": "01001",
}


def in_hpack(text: str) -> bytes:
    """As the value of a header goes over HTTP/2."""
    bits = "".join(HUFFMAN_CODE[character] for character in text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def test_orders_go_by_mutual_tls_and_commands_too(
    database_url: str,
    temporal_address: str,
    client: Client,
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    async with tls_front(temporal_address, certificates, client_certificate=True) as front:
        access = {
            "temporal_tls_server_name": SERVER_NAME,
            "temporal_tls_server_ca_cert_path": str(certificates.authority),
            "temporal_tls_client_cert_path": str(certificates.client),
            # The text itself, as of a platform that knows no files.
            "temporal_tls_client_key_data": certificates.client_key.read_text(),
        }
        address = f"127.0.0.1:{front.port}"
        opening = open_world(database_url, client, address, tmp_path, **access)
        async with opening as opened:
            world = replace(opened, client=await connect_by(opened.settings))
            async with world.worker():
                session_id = await world.shop.buy(ACCESS)
                assert (await world.result(session_id)).state is OrderState.FULFILLED
                lines = [f"{name.upper()}='{value}'" for name, value in access.items()]
                (tmp_path / ".env").write_text("\n".join(lines))
                found = await _doctor(tmp_path, environment(world.settings))
                assert found["Temporal"] == f"ok: {address}"
                assert found["worker"].startswith("ok: 1")
            with pytest.raises(RuntimeError):
                await connect_by(
                    world.settings.model_copy(
                        update={
                            "temporal_tls_client_cert_path": None,
                            "temporal_tls_client_key_data": None,
                        }
                    )
                )


async def _doctor(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """What the doctor finds in a folder, by the name of the check."""
    ended = await run_command(folder, variables, "doctor", "--json")
    checks = json.loads(ended.out)["checks"]
    return {check["check"]: f"{check['state']}: {check['found']}" for check in checks}


async def test_the_api_key_of_a_profile_goes_with_each_call(
    temporal_address: str, certificates: Certificates, world: World, tmp_path: Path
) -> None:
    async with tls_front(temporal_address, certificates, client_certificate=False) as front:
        file = tmp_path / "temporal.toml"
        file.write_text(
            f"""
            [profile.cloud]
            address = "127.0.0.1:{front.port}"
            namespace = "default"
            api_key = "{API_KEY}"
            [profile.cloud.tls]
            server_name = "{SERVER_NAME}"
            server_ca_cert_path = "{certificates.authority}"
            """
        )
        variables = environment(world.settings)
        del variables["TEMPORAL_ADDRESS"]
        variables |= {"TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "cloud"}
        found = await _doctor(tmp_path, variables)
        assert found["Temporal namespace"] == "ok: default"
        assert in_hpack(f"Bearer {API_KEY}") in front.sent
