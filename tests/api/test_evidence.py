"""What happened to an order, and what proves its delivery."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from tests.e2e.test_reversals import BEARER, bought, mailed, settled
from tests.harness.shop import shipment
from tests.harness.world import APP_TOKEN, World, eventually

FILE = "Guide & <b>notes.txt"


async def _sold_and_used(world: World) -> tuple[str, str]:
    """An order of which everything was used that can be; and its key."""
    folder = world.settings.downloads_folder
    assert folder is not None
    (folder / FILE).write_text("a")
    feature = f"feature-{uuid4().hex[:8]}"
    access = {
        "fulfillment": "access",
        "access_url": "https://learn.example.com/course",
        "access_feature": feature,
    }
    session_id = await bought(
        world,
        {"fulfillment": "download", "download_files": FILE},
        access,
        {"fulfillment": "license_key", "license_key_format": "ACME-XXXXX-XXXXX-XXXXX"},
        shipment(await world.new_sku(10)),
    )
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    token = page.text.partition("/downloads/")[2].partition('"')[0]
    loaded = await world.api.get(f"/downloads/{token}", headers={"User-Agent": "Browser/<1>"})
    assert loaded.status_code == 200
    app = {"Authorization": f"Bearer {APP_TOKEN}"}
    for _ in range(2):
        asked = {"email": "jo@example.com", "feature": feature}
        assert (await world.api.get("/entitlements", params=asked, headers=app)).is_success
    handed = [
        each.value
        for line in (await world.order(session_id)).lines
        for item in line.fulfillments
        for each in item.delivered
        if item.kind == "license_key"
    ]
    body = {"key": handed[0], "instance": "desk"}
    assert (await world.api.post("/licenses/activate", json=body)).is_success
    [parcel] = await world.parcels(session_id)
    await world.carrier.post(f"/shipments/{parcel['id']}/advance")
    await mailed(world, session_id, "receipt", "parcel_in_transit")
    return session_id, str(parcel["tracking_number"])


async def _get(world: World, session_id: str, what: str) -> Any:
    answer = await world.api.get(f"/orders/{session_id}/{what}", headers=BEARER)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_evidence_holds_what_was_delivered_and_used(world: World) -> None:
    async with world.worker():
        session_id, tracking_number = await _sold_and_used(world)
        opened = await world.shop.control("POST", f"/sessions/{session_id}/dispute")
        await settled(world, session_id, [0, 1, 1, 1])
    pack = await _get(world, session_id, "evidence")
    uses = [(use["event"], use["subject"], use["ip"]) for use in pack["uses"]]
    assert sorted(uses, key=str) == [
        ("access_checked", uses[1][1], None),
        ("downloaded", FILE, "127.0.0.1"),
        ("license_activated", "desk", None),
    ]
    assert [each["id"] for each in pack["reversals"]] == [opened["dispute"]["id"]]
    [parcel] = pack["parcels"]
    assert [event["status"] for event in parcel["events"]] == ["in_transit"]
    assert [each["name"] for each in pack["emails"]][:2] == ["receipt", "parcel_in_transit"]
    said = pack["stripe"]
    assert said["shipping_tracking_number"] == tracking_number
    assert (said["customer_name"], said["customer_email_address"]) == ("Jo Doe", "jo@example.com")
    assert "1 Main Street" in said["billing_address"]
    assert FILE in said["access_activity_log"]
    # Stripe takes it as it is.
    evidence: Any = {name: text for name, text in said.items() if text}
    answered = await world.shop.stripe.v1.disputes.update_async(
        opened["dispute"]["id"], {"evidence": evidence, "submit": True}
    )
    assert answered.evidence.shipping_tracking_number == tracking_number

    page = await world.api.get(f"/orders/{session_id}/evidence.html", headers=BEARER)
    assert page.status_code == 200
    for text in (tracking_number, "Guide &amp; &lt;b&gt;notes.txt", "Browser/&lt;1&gt;", "Jo Doe"):
        assert text in page.text
    assert "<b>" not in page.text


async def test_the_timeline_shows_everything_in_its_order(world: World) -> None:
    async with world.worker():
        session_id, _ = await _sold_and_used(world)
        said = {"by": "ops", "note": "as agreed"}
        url = f"/orders/{session_id}/refunds"
        assert (await world.api.post(url, json=said, headers=BEARER)).status_code == 202
        await settled(world, session_id, [1, 1, 1, 1])

        async def whole() -> Any:
            entries = await _get(world, session_id, "timeline")
            mailed_names = [
                each["detail"].split()[0] for each in entries if "email" in each["event"]
            ]
            return entries if "return_needed" in mailed_names else None

        entries = await eventually(whole)
    times = [datetime.fromisoformat(each["at"]) for each in entries]
    assert times == sorted(times)
    by = {each["event"]: each["by"] for each in entries}
    assert (
        by
        | {
            "checkout_opened": "customer",
            "order_recorded": "service",
            "fulfilled": "service",
            "email_sent": "service",
            "parcel_booked": "service",
            "parcel_in_transit": "carrier",
            "downloaded": "customer",
            "access_checked": "customer",
            "license_activated": "customer",
            "refund_requested": "ops",
            "refund_made": "ops",
            "refund_began": "stripe",
            "reversal_recorded": "stripe",
            "reversed": "stripe",
            "taken_back": "service",
            "return_asked": "service",
            "order_closed": "service",
        }
        == by
    )


async def test_evidence_is_for_operators(world: World) -> None:
    unknown = f"cs_test_{'0' * 58}"
    for what in ("timeline", "evidence", "evidence.html"):
        url = f"/orders/{unknown}/{what}"
        assert (await world.api.get(url)).status_code == 401
        assert (await world.api.get(url, headers=BEARER)).status_code == 404
