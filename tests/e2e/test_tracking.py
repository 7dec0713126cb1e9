"""Parcels on their way: the carrier tells, signed, and the customer hears of it by mail."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from adapters.standard_webhooks import signed_headers
from api.app import create_app
from database.emails import PARCEL_IN_TRANSIT, read_emails
from database.tracking import read_untold, record_update
from domain.shipping import CarrierChoice, Parcel, ParcelStatus, TrackingUpdate
from local.ports import LOCALHOST, free_port
from tests.harness import easypost
from tests.harness.easypost import EasyPostStandIn
from tests.harness.serving import serving
from tests.harness.shop import shipment
from tests.harness.world import STANDARD_WEBHOOKS_SECRET, World, eventually

IN_TRANSIT = "Your parcel is on its way"
DELIVERED = "Your parcel has arrived"
EXCEPTION = "There is a problem with your parcel"
NEWS = {IN_TRANSIT, DELIVERED, EXCEPTION}


async def sold(world: World) -> tuple[str, Parcel]:
    """Sells something shipped; a worker must run."""
    session_id = await world.shop.buy(shipment(await world.new_sku()))
    await world.result(session_id)
    return session_id, await parcel_of(world, session_id)


async def parcel_of(world: World, session_id: str) -> Parcel:
    [line] = (await world.order(session_id)).lines
    [parcel] = line.fulfillments[0].parcels
    return parcel


async def advance(world: World, session_id: str, status: ParcelStatus | None = None) -> None:
    """The carrier moves the parcel, and tells of it."""
    [booked] = await world.parcels(session_id)
    params = {"status": status} if status else {}
    answer = await world.carrier.post(f"/shipments/{booked['id']}/advance", params=params)
    answer.raise_for_status()


async def news(world: World) -> list[str]:
    """The subjects of mails of parcels, oldest first."""
    return [mail["subject"] for mail in (await world.mails())[::-1] if mail["subject"] in NEWS]


async def mailed(world: World, *subjects: str) -> None:
    """Waits until exactly these mails have come."""

    async def came() -> bool | None:
        return True if len(await news(world)) >= len(subjects) else None

    await eventually(came)
    assert await news(world) == list(subjects)


async def all_told(world: World, session_id: str) -> None:
    """Waits until nothing of a parcel is left to be told."""
    [booked] = await world.parcels(session_id)
    handle = world.client.get_workflow_handle(f"parcel:{booked['reference']}")
    await handle.result()


async def tell(
    world: World,
    reference: str,
    status: ParcelStatus,
    at: datetime,
    *,
    event_id: str | None = None,
    secret: str = STANDARD_WEBHOOKS_SECRET,
) -> httpx.Response:
    """Calls back as the carrier does."""
    data = {"reference": reference, "status": status, "at": at.isoformat()}
    body = json.dumps({"type": "tracking.updated", "data": data}).encode()
    headers = signed_headers(body, event_id or f"scan_{uuid4().hex}", secret)
    return await world.api.post("/carrier/webhook", content=body, headers=headers)


async def reference_of(world: World, session_id: str) -> str:
    [booked] = await world.parcels(session_id)
    return str(booked["reference"])


async def test_parcel_on_its_way_and_delivered_is_mailed_once_each_and_seen(world: World) -> None:
    async with world.worker():
        session_id, parcel = await sold(world)
        assert parcel.status is ParcelStatus.BOOKED
        before = await world.workflow(session_id).describe()

        await advance(world, session_id)
        await mailed(world, IN_TRANSIT)
        assert (await parcel_of(world, session_id)).status is ParcelStatus.IN_TRANSIT

        await advance(world, session_id)
        await mailed(world, IN_TRANSIT, DELIVERED)
        arrived = await parcel_of(world, session_id)
        assert arrived.status is ParcelStatus.DELIVERED
        assert arrived.status_at is not None

        after = await world.workflow(session_id).describe()
    assert after.history_length == before.history_length
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert "Your parcel has arrived" in page.text
    mail = (await world.mails())[0]
    assert parcel.tracking_number in mail["text"]


async def test_trouble_on_the_way_is_mailed(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        await advance(world, session_id, ParcelStatus.EXCEPTION)
        await mailed(world, EXCEPTION)
    assert (await parcel_of(world, session_id)).status is ParcelStatus.EXCEPTION


async def test_callback_that_comes_again_changes_nothing(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        reference, at = await reference_of(world, session_id), datetime.now(UTC)
        for _ in range(3):
            answer = await tell(world, reference, ParcelStatus.IN_TRANSIT, at, event_id="scan_1")
            assert answer.json() == {"received": "recorded"}
            await all_told(world, session_id)
        # The same news in another event, too.
        await tell(world, reference, ParcelStatus.IN_TRANSIT, at + timedelta(seconds=1))
        await all_told(world, session_id)
        await mailed(world, IN_TRANSIT)


async def test_callback_that_is_overtaken_takes_nothing_back(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        reference, at = await reference_of(world, session_id), datetime.now(UTC)
        await tell(world, reference, ParcelStatus.DELIVERED, at)
        await mailed(world, DELIVERED)
        await tell(world, reference, ParcelStatus.IN_TRANSIT, at - timedelta(hours=3))
        await all_told(world, session_id)
        assert (await parcel_of(world, session_id)).status is ParcelStatus.DELIVERED
        await mailed(world, DELIVERED)


async def test_carrier_clock_that_is_ahead_does_not_outdo_what_follows(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        reference, at = await reference_of(world, session_id), datetime.now(UTC)
        await tell(world, reference, ParcelStatus.IN_TRANSIT, at + timedelta(days=30))
        await advance(world, session_id, ParcelStatus.DELIVERED)
        assert (await parcel_of(world, session_id)).status is ParcelStatus.DELIVERED
        await all_told(world, session_id)


async def test_only_the_newest_is_mailed_of_what_happened_in_the_meantime(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
    await advance(world, session_id)
    await advance(world, session_id)
    async with world.worker():
        await mailed(world, DELIVERED)
        await all_told(world, session_id)
        await mailed(world, DELIVERED)


async def test_mail_that_is_put_off_is_sent_later(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        await world.inbox.post("/api/faults", json={"status": 451, "count": 1})
        await advance(world, session_id)
        await all_told(world, session_id)
        await mailed(world, IN_TRANSIT)


async def test_mail_that_is_refused_stands_in_the_log_and_keeps_nothing_waiting(
    world: World,
) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        await world.inbox.post("/api/faults", json={"status": 550, "count": 1})
        await advance(world, session_id)
        await all_told(world, session_id)
        async with world.database.transaction() as connection:
            [email] = [
                each
                for each in await read_emails(connection, session_id)
                if each.name == PARCEL_IN_TRANSIT
            ]
            untold = await read_untold(connection, timedelta(), 1000)
        assert email.sent_at is None
        assert await reference_of(world, session_id) not in untold
        await advance(world, session_id)
        await mailed(world, DELIVERED)


async def test_histories_of_parcels_hold_nothing_of_the_customer(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        await advance(world, session_id)
        await all_told(world, session_id)
        handle = world.client.get_workflow_handle(f"parcel:{await reference_of(world, session_id)}")
        history = await handle.fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    order = await world.order(session_id)
    assert order.shipping_address
    personal = [order.customer_email, *order.shipping_address.model_dump().values()]
    assert session_id.encode() in stored
    # A country's two letters stand anywhere.
    assert [text for text in personal if text and len(text) > 2 and text.encode() in stored] == []


async def test_callback_that_nobody_we_know_has_signed_is_refused(world: World) -> None:
    async with world.worker():
        session_id, parcel = await sold(world)
    reference = await reference_of(world, session_id)
    forged = "whsec_" + "Zm9yZ2Vk" * 4
    answer = await tell(world, reference, ParcelStatus.DELIVERED, datetime.now(UTC), secret=forged)
    assert answer.status_code == 400
    assert await parcel_of(world, session_id) == parcel


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b'{"type": "tracking.updated", "data": {}}',
        b'{"type": "tracking.updated", "data": {"reference": "r", "status": "booked", '
        b'"at": "2026-11-24T00:00:00Z"}}',
        b'{"type": "tracking.updated", "data": {"reference": "r", "status": "delivered", '
        b'"at": "2026-11-24T00:00:00"}}',
    ],
    ids=["no-json", "nothing", "status-of-ours", "no-time-zone"],
)
async def test_callback_that_cannot_be_understood_is_refused(world: World, body: bytes) -> None:
    headers = signed_headers(body, "scan_1", STANDARD_WEBHOOKS_SECRET)
    answer = await world.api.post("/carrier/webhook", content=body, headers=headers)
    assert answer.status_code == 400


async def test_callback_of_something_else_is_taken_and_ignored(world: World) -> None:
    body = b'{"type": "invoice.created", "data": {}}'
    headers = signed_headers(body, "scan_1", STANDARD_WEBHOOKS_SECRET)
    answer = await world.api.post("/carrier/webhook", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"received": "ignored"})


async def test_unknown_parcel_is_asked_for_again_only_while_it_may_be_being_booked(
    world: World,
) -> None:
    now = datetime.now(UTC)
    fresh = await tell(world, "of-nobody", ParcelStatus.IN_TRANSIT, now)
    assert fresh.status_code == 503
    old = await tell(world, "of-nobody", ParcelStatus.IN_TRANSIT, now - timedelta(minutes=5))
    assert (old.status_code, old.json()) == (200, {"received": "unknown"})


async def test_callback_before_the_booking_is_recorded_is_not_lost(world: World) -> None:
    await world.carrier.post("/faults", json={"status": 503, "after_booking": True})
    async with world.worker():
        session_id = await world.shop.buy(shipment(await world.new_sku()))

        async def booked() -> bool | None:
            return True if await world.parcels(session_id) else None

        await eventually(booked)
        # The carrier has it, and we have not heard so.
        await advance(world, session_id)
        await mailed(world, IN_TRANSIT)
        assert (await parcel_of(world, session_id)).tracking_number is None
        await world.carrier.delete("/faults")
        await world.result(session_id)
    parcel = await parcel_of(world, session_id)
    assert parcel.status is ParcelStatus.IN_TRANSIT
    assert parcel.tracking_number


async def test_news_that_nobody_mails_is_mailed_by_the_next_sweep(world: World) -> None:
    async with world.worker():
        session_id, _ = await sold(world)
        reference = await reference_of(world, session_id)
        async with world.database.transaction() as connection:
            await record_update(
                connection,
                TrackingUpdate(
                    event_id=f"scan_{uuid4().hex}",
                    reference=reference,
                    status=ParcelStatus.IN_TRANSIT,
                    at=datetime.now(UTC),
                ),
            )
        await world.execute(
            "UPDATE tracking_events SET created_at = now() - interval '1 hour' "  # noqa: S608 - ours
            f"WHERE reference = '{reference}'"
        )
        assert (await world.sweep()).sent >= 1
        await mailed(world, IN_TRANSIT)
        await all_told(world, session_id)
        await world.sweep()
        await mailed(world, IN_TRANSIT)


CATALOG = """
[warehouses.main.address]
name = "The Shop"
line1 = "1 Dock St"
city = "Reno"
state = "NV"
postal_code = "89501"
country = "US"

[shipping]
rate = "fastest"
"""
EASYPOST_SECRET = "the-tests-own-secret-at-easypost"


@asynccontextmanager
async def easypost_world(
    world: World, folder: Path
) -> AsyncIterator[tuple[World, EasyPostStandIn]]:
    """A worker and an API that work with EasyPost."""
    stand_in, port, api_port = EasyPostStandIn(), free_port(), free_port()
    catalog = folder / "catalog.toml"
    catalog.write_text(CATALOG)
    there = world.with_settings(
        carrier=CarrierChoice.EASYPOST,
        carrier_url=f"http://{LOCALHOST}:{port}",
        carrier_api_key=SecretStr(easypost.API_KEY),
        carrier_webhook_secrets=(SecretStr("an-older-one"), SecretStr(EASYPOST_SECRET)),
        catalog_file=catalog,
    )
    async with (
        serving({port: stand_in.app, api_port: create_app(there.settings)}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{api_port}") as there.api,
        there.worker(),
    ):
        yield there, stand_in


async def test_parcel_of_easypost_goes_by_the_rule_and_is_followed(
    world: World, tmp_path: Path
) -> None:
    async with easypost_world(world, tmp_path) as (there, stand_in):
        session_id, parcel = await sold(there)
        [bought] = stand_in.bought
        assert parcel.service == "Express"
        assert parcel.label_url == bought["postage_label"]["label_url"]

        async def told(status: str, secret: str = EASYPOST_SECRET) -> httpx.Response:
            tracker = easypost.tracker(bought["id"], bought["tracking_code"], status)
            body = easypost.event(tracker)
            headers = easypost.signed(body, secret)
            return await there.api.post("/carrier/webhook", content=body, headers=headers)

        assert (await told("delivered", "forged")).status_code == 400
        assert (await told("pre_transit")).json() == {"received": "ignored"}
        assert (await parcel_of(there, session_id)).status is ParcelStatus.BOOKED
        assert (await told("out_for_delivery")).json() == {"received": "recorded"}
        await mailed(there, IN_TRANSIT)
        await told("return_to_sender")
        await mailed(there, IN_TRANSIT, EXCEPTION)
        assert (await parcel_of(there, session_id)).status is ParcelStatus.EXCEPTION


@pytest.mark.parametrize("signature", [None, "", "hmac-sha256-hex=00", "ungültig"])
async def test_callback_without_easyposts_signature_is_refused(
    world: World, tmp_path: Path, signature: str | None
) -> None:
    async with easypost_world(world, tmp_path) as (there, _):
        body = easypost.event(easypost.tracker("shp_1", "9400", "delivered"))
        headers = [] if signature is None else [(b"X-Hmac-Signature", signature.encode("latin-1"))]
        answer = await there.api.post("/carrier/webhook", content=body, headers=headers)
        assert answer.status_code == 400
