"""With keys, nothing that an order is about stands readable in Temporal's database."""

import base64
import os
from pathlib import Path

from domain.orders import OrderState
from local.temporal import embedded_temporal
from tests.harness.shop import ACCESS, CUSTOMER, CUSTOMER_ADDRESS, MANUAL, shipment
from tests.harness.world import World, open_world
from workflows.client import connect

REASON = "As agreed with the customer by phone"


async def _order_with_everything(world: World) -> str:
    """One whose history holds parameters, a failure, operators' words and a refund."""
    await world.carrier.post("/faults", json={"status": 422, "count": 1})
    session_id = await world.shop.buy(ACCESS, MANUAL, shipment(await world.new_sku()))
    stuck = await world.step_in(session_id, "action_required")
    await world.decide(session_id, "retry", stuck.step, REASON)
    waiting = await world.step_in(session_id, "awaiting_operator")
    await world.decide(session_id, "mark_fulfilled", waiting.step, REASON)
    assert (await world.result(session_id)).state is OrderState.FULFILLED
    refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]
    await world.step_in(refund["id"], "awaiting_operator")
    return session_id


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
    secrets = (ACCESS["access_url"], MANUAL["manual_instructions"], REASON, "carrier answered 422")
    assert all(_holds(plain, text) for text in secrets), "else the next line shows nothing"
    assert [text for text in secrets if _holds(sealed, text)] == []
    personal = (*CUSTOMER.values(), *CUSTOMER_ADDRESS.values())
    for text in (each for each in personal if isinstance(each, str) and len(each) > 4):
        assert not _holds(plain, text)
        assert not _holds(sealed, text)


def _holds(file: Path, text: str) -> bool:
    """Whether a database holds a text as it is, its write-ahead log included."""
    stored = [path.read_bytes() for path in file.parent.glob(f"{file.name}*")]
    return any(text.encode() in each for each in stored)
