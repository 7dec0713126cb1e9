"""With keys, nothing that an order is about stands readable in Temporal's database."""

import base64
import os
from pathlib import Path
from uuid import uuid4

from database.licenses import import_keys
from domain.licenses import parse_pool
from domain.orders import OrderState
from local.temporal import embedded_temporal
from tests.harness.shop import ACCESS, CUSTOMER, CUSTOMER_ADDRESS, MANUAL, shipment
from tests.harness.world import (
    API_KEY,
    SIGNING_SECRET,
    WEBHOOK_SECRET,
    World,
    eventually,
    open_world,
)
from workflows.client import connect

REASON = "As agreed with the customer by phone"
CORRECTED = "corrected@mail.example.com"
MOVED = {"name": "Ada Lovelace-King", "line1": "12 St James Square", "city": "Ockham"}
LICENSE_KEY = "LICENSE-KEY-NOBODY-ELSE-MAY-READ"


async def _order_with_everything(world: World) -> None:
    """One whose history holds parameters, a failure, operators' words and a refund."""
    pool = f"pool-{uuid4().hex}"
    keys, _ = parse_pool([f"{LICENSE_KEY}-{pool}"])
    async with world.database.transaction() as connection:
        await import_keys(connection, pool, keys)
    await world.carrier.post("/faults", json={"status": 422, "count": 1})
    session_id = await world.shop.buy(
        ACCESS,
        MANUAL,
        shipment(await world.new_sku()),
        {"fulfillment": "license_key", "license_key_pool": pool},
    )
    await world.step_in(session_id, "action_required")
    asked = {"by": "ops@example.com", "reason": REASON}
    address = {**MOVED, "country": "GB"}
    await world.workflow(session_id).execute_update("change_address", {**asked, "address": address})

    async def mailed() -> bool | None:
        return bool(await world.mails()) or None

    await eventually(mailed)
    await world.workflow(session_id).execute_update("resend_receipt", {**asked, "to": CORRECTED})
    waiting = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "mark_fulfilled", waiting.step, REASON)
    assert (await world.result(session_id)).state is OrderState.FULFILLED
    refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]
    await world.step_in(refund["id"], "awaiting_operator")
    assert LICENSE_KEY in str(await world.mails())


async def test_temporals_database_tells_nothing_of_an_order(
    database_url: str, tmp_path: Path
) -> None:
    key = os.urandom(32)
    plain, sealed = tmp_path / "plain.db", tmp_path / "sealed.db"
    for file, keys in ((plain, ()), (sealed, (key,))):
        folder = tmp_path / file.stem
        folder.mkdir()
        with embedded_temporal(file) as address:
            client = await connect(address, "default", payload_keys=keys)
            texts = ",".join(base64.b64encode(each).decode() for each in keys)
            async with (
                open_world(
                    database_url, client, address, folder, temporal_payload_keys=texts
                ) as world,
                world.worker(),
            ):
                await _order_with_everything(world)
    secrets = (
        *(ACCESS["access_url"], MANUAL["manual_instructions"], "carrier answered 422"),
        *(REASON, CORRECTED, *MOVED.values()),
    )
    assert all(_holds(plain, text) for text in secrets), "else the next line shows nothing"
    assert [text for text in secrets if _holds(sealed, text)] == []
    personal = (*CUSTOMER.values(), *CUSTOMER_ADDRESS.values())
    never = [each for each in personal if isinstance(each, str) and len(each) > 4]
    never += [LICENSE_KEY, API_KEY, WEBHOOK_SECRET, SIGNING_SECRET, base64.b64encode(key).decode()]
    for text in never:
        assert not _holds(plain, text)
        assert not _holds(sealed, text)


def _holds(file: Path, text: str) -> bool:
    """Whether a database holds a text as it is, its write-ahead log included."""
    stored = [path.read_bytes() for path in file.parent.glob(f"{file.name}*")]
    return any(text.encode() in each for each in stored)
