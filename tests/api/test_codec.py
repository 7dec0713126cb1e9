"""The Temporal Web UI and CLI see what is encrypted, by a token and from one origin only."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from tests.harness.world import World, open_world
from workflows.encryption import data_converter

KEY = bytes(range(32))
TOKEN = "the-tests-own-codec-token"
UI = "https://temporal.example.com"
SAID = "as agreed by phone"


@pytest.fixture
async def encrypting(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> AsyncIterator[World]:
    changes = {
        "temporal_payload_keys": base64.b64encode(KEY).decode(),
        "temporal_codec_token": TOKEN,
        "temporal_ui_origin": UI,
    }
    async with open_world(database_url, client, temporal_address, tmp_path, **changes) as world:
        yield world


async def _sealed() -> dict[str, Any]:
    """What Temporal has of a text, as its Web UI sends it."""
    payloads = await data_converter([KEY]).encode([SAID])
    sealed: dict[str, Any] = json_format.MessageToDict(Payloads(payloads=payloads))
    return sealed


def _text(answer: dict[str, Any]) -> str:
    return base64.b64decode(answer["payloads"][0]["data"]).decode()


@pytest.mark.parametrize("by_path", [True, False])
async def test_who_has_the_token_reads_and_writes(encrypting: World, *, by_path: bool) -> None:
    prefix = f"/codec/{TOKEN}" if by_path else "/codec"
    headers = {} if by_path else {"Authorization": f"Bearer {TOKEN}"}
    answer = await encrypting.api.post(f"{prefix}/decode", json=await _sealed(), headers=headers)
    assert answer.status_code == 200
    assert _text(answer.json()) == f'"{SAID}"'
    assert answer.headers["Cache-Control"] == "no-store"
    again = await encrypting.api.post(f"{prefix}/encode", json=answer.json(), headers=headers)
    assert SAID not in base64.b64decode(again.json()["payloads"][0]["data"]).decode("latin-1")
    back = await encrypting.api.post(f"{prefix}/decode", json=again.json(), headers=headers)
    assert back.json() == answer.json()


async def test_without_the_token_nobody_does(encrypting: World) -> None:
    for url in ("/codec/decode", f"/codec/{TOKEN[:-1]}/decode", f"/codec/decode?token={TOKEN}"):
        assert (await encrypting.api.post(url, json=await _sealed())).status_code == 401


async def test_where_no_token_is_set_there_is_no_such_address(world: World) -> None:
    answer = await world.api.post(f"/codec/{TOKEN}/decode", json=await _sealed())
    assert answer.status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b'{"payloads": 1}', b"\xff"])
async def test_what_is_no_payloads_is_refused(encrypting: World, body: bytes) -> None:
    answer = await encrypting.api.post(f"/codec/{TOKEN}/decode", content=body)
    assert answer.status_code == 400


async def test_what_another_key_has_encrypted_is_refused(encrypting: World) -> None:
    payloads = await data_converter([bytes(32)]).encode([SAID])
    sealed = json_format.MessageToDict(Payloads(payloads=payloads))
    answer = await encrypting.api.post(f"/codec/{TOKEN}/decode", json=sealed)
    assert answer.status_code == 400
    assert "has no key" in answer.json()["detail"]


async def test_only_the_web_ui_s_pages_may_ask(encrypting: World) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace",
    }
    url = f"/codec/{TOKEN}/decode"
    allowed = await encrypting.api.options(url, headers={"Origin": UI, **asked})
    assert allowed.headers["Access-Control-Allow-Origin"] == UI
    other = await encrypting.api.options(url, headers={"Origin": "https://evil.example", **asked})
    assert "Access-Control-Allow-Origin" not in other.headers
    elsewhere = await encrypting.api.options("/orders/x", headers={"Origin": UI, **asked})
    assert "Access-Control-Allow-Origin" not in elsewhere.headers
