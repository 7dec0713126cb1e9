"""Refunds and disputes take back what they are about, and give it back when they are undone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from temporalio.service import RPCError

from database.tables import (
    audit,
    backorders,
    downloads,
    emails,
    entitlements,
    fulfillments,
    license_keys,
    parcels,
    returns,
)
from domain.orders import FulfillmentState, OrderState
from domain.reconciliation import Action
from tests.harness.shop import MANUAL, shipment
from tests.harness.world import APP_TOKEN, OPERATOR_TOKEN, World, eventually

BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.fixture
async def working(world: World) -> AsyncIterator[World]:
    async with world.worker():
        yield world


def course() -> dict[str, str]:
    return {
        "fulfillment": "access",
        "access_url": "https://learn.example.com/course",
        "access_feature": f"feature-{uuid4().hex[:8]}",
        "access_seats": "2",
    }


KEYS = {"fulfillment": "license_key", "license_key_format": "ACME-XXXXX-XXXXX-XXXXX"}


async def bought(world: World, *products: dict[str, str], quantity: int = 1) -> str:
    session_id = await world.shop.buy(*products, quantity=quantity)
    result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    return session_id


async def refund(world: World, session_id: str, **details: Any) -> str:
    session = await world.shop.stripe.v1.checkout.sessions.retrieve_async(session_id)
    created = await world.shop.stripe.v1.refunds.create_async(
        {"payment_intent": str(session.payment_intent), **details}  # type: ignore[arg-type]
    )
    return created.id


async def rows(world: World, table: Any, session_id: str) -> list[Any]:
    async with world.database.transaction() as connection:
        found = await connection.execute(select(table).where(table.c.session_id == session_id))
        return list(found.all())


async def settled(world: World, session_id: str, reversed_pieces: list[int]) -> None:
    """Waits until every fulfillment has come to where its reversals say."""

    async def has() -> bool | None:
        found = await rows(world, fulfillments, session_id)
        taken = sorted((row.reversed, row.taken_back) for row in found)
        return True if taken == sorted((n, n) for n in reversed_pieces) else None

    await eventually(has)


async def order_in(world: World, session_id: str, state: OrderState) -> None:
    async def has() -> bool | None:
        return True if (await world.order(session_id)).state is state else None

    await eventually(has)


async def mailed(world: World, session_id: str, *names: str) -> None:
    """Waits until these mails have gone out, each once, and no other."""

    async def has() -> bool | None:
        sent = [row.name for row in await rows(world, emails, session_id) if row.sent_at]
        return sorted(sent) == sorted(names) or None

    await eventually(has)


async def test_a_refund_revokes_access_and_a_failed_one_gives_it_back(working: World) -> None:
    session_id = await bought(working, course(), quantity=3)
    refund_id = await refund(working, session_id)
    await settled(working, session_id, [3])
    [entitlement] = await rows(working, entitlements, session_id)
    assert entitlement.revoked_at is not None
    assert (await working.order(session_id)).state is OrderState.REVERSED
    page = await working.api.get("/after-checkout", params={"session_id": session_id})
    assert "This order was canceled" in page.text
    assert entitlement.url not in page.text
    await mailed(working, session_id, "receipt", "refunded")
    await working.shop.control("POST", f"/refunds/{refund_id}/end", {"succeeded": False})
    await settled(working, session_id, [0])
    page = await working.api.get("/after-checkout", params={"session_id": session_id})
    assert entitlement.url in page.text
    [entitlement] = await rows(working, entitlements, session_id)
    assert (entitlement.revoked_at, entitlement.quantity) == (None, 6)
    await mailed(working, session_id, "receipt", "refunded", "refund_failed")
    failed, refunded, _ = await working.mails()
    assert failed["subject"] == "Your refund did not go through"
    assert refunded["subject"] == "Your refund: $59.97"
    assert "3 x access" in refunded["text"]
    assert (await working.order(session_id)).state is OrderState.FULFILLED


async def test_refunds_of_some_pieces_add_up(working: World) -> None:
    session_id = await bought(working, course(), quantity=3)
    for pieces in (1, 2):
        await refund(working, session_id, amount=1999)
        await settled(working, session_id, [pieces])
        [entitlement] = await rows(working, entitlements, session_id)
        assert (entitlement.revoked_at, entitlement.quantity) == (None, 2 * (3 - pieces))
    page = await working.api.get("/after-checkout", params={"session_id": session_id})
    assert "Of 3, 2 canceled" in page.text
    await refund(working, session_id, amount=1999)
    await settled(working, session_id, [3])
    assert (await working.order(session_id)).state is OrderState.REVERSED


async def test_a_refund_of_one_line_item_leaves_the_others(working: World) -> None:
    session_id = await bought(working, course(), KEYS, quantity=2)
    lines = (await working.order(session_id)).lines
    keys = next(line for line in lines if line.description == "license_key")
    await refund(working, session_id, amount=500, metadata={"line_items": f"{keys.id}=1"})
    await settled(working, session_id, [0, 1])
    disabled = [
        row.reversed_at is not None for row in await rows(working, license_keys, session_id)
    ]
    assert sorted(disabled) == [False, True]
    order = await working.order(session_id)
    assert order.state is OrderState.FULFILLED
    [shown] = [f for line in order.lines for f in line.fulfillments if f.kind == "license_key"]
    assert len(shown.delivered) == 1


async def test_a_dispute_closes_downloads_until_it_is_won(working: World) -> None:
    folder = working.settings.downloads_folder
    assert folder is not None
    (folder / "a.txt").write_text("a")
    product = {"fulfillment": "download", "download_files": "a.txt", "download_limit": "2"}
    session_id = await bought(working, product)
    opened = await working.shop.control("POST", f"/sessions/{session_id}/dispute")
    await settled(working, session_id, [1])
    [download] = await rows(working, downloads, session_id)
    assert download.revoked_at is not None
    await mailed(working, session_id, "receipt", "disputed")
    await working.shop.control("POST", f"/disputes/{opened['dispute']['id']}/close", {"won": True})
    await settled(working, session_id, [0])
    [download] = await rows(working, downloads, session_id)
    assert (download.revoked_at, download.allowed) == (None, 2)
    await mailed(working, session_id, "receipt", "disputed", "restored")


async def test_what_is_refunded_before_it_is_delivered_never_is(working: World) -> None:
    session_id = await working.shop.buy(MANUAL)
    await working.step_in(session_id, "awaiting_operator")
    await refund(working, session_id)
    result = await working.result(session_id)
    assert result.state is OrderState.REVERSED
    [fulfillment] = await rows(working, fulfillments, session_id)
    assert fulfillment.state == FulfillmentState.REVERSED
    assert fulfillment.taken_back == 1


async def test_what_is_refunded_before_anybody_heard_of_it_is_not_delivered(
    world: World,
) -> None:
    await world.shop.deliveries("drop")
    session_id = await world.shop.buy(course())
    await refund(world, session_id)
    async with world.worker():
        await world.api.get("/after-checkout", params={"session_id": session_id})
        result = await world.result(session_id)
    assert result.state is OrderState.REVERSED
    assert await rows(world, entitlements, session_id) == []


async def test_a_sweep_finds_refunds_that_no_event_told_of(world: World) -> None:
    async with world.worker():
        await world.sweep()
        session_id = await bought(world, course())
        await world.shop.deliveries("drop")
        refund_id = await refund(world, session_id)
        report = await world.sweep()
        assert report.done == {refund_id: Action.REVERSE}
        await settled(world, session_id, [1])
        assert (await world.sweep()).done == {}
        await world.shop.control("POST", f"/refunds/{refund_id}/end", {"succeeded": False})
        assert (await world.sweep()).done == {refund_id: Action.REVERSE}
        await settled(world, session_id, [0])


async def test_an_undone_refund_delivers_what_it_kept_from_delivery(working: World) -> None:
    session_id = await working.shop.buy(MANUAL)
    await working.step_in(session_id, "awaiting_operator")
    refund_id = await refund(working, session_id)
    assert (await working.result(session_id)).state is OrderState.REVERSED
    await working.shop.control("POST", f"/refunds/{refund_id}/end", {"succeeded": False})
    await order_in(working, session_id, OrderState.FULFILLING)
    parked = await working.step_in(session_id, "awaiting_operator")
    await working.decide(session_id, "mark_fulfilled", parked.step)
    assert (await working.result(session_id)).state is OrderState.FULFILLED


async def test_what_a_person_delivered_a_person_takes_back(working: World) -> None:
    session_id = await working.shop.buy(MANUAL)
    parked = await working.step_in(session_id, "awaiting_operator")
    await working.decide(session_id, "mark_fulfilled", parked.step)
    await working.result(session_id)
    refund_id = await refund(working, session_id)
    asked = await working.step_in(refund_id, "awaiting_operator")
    # A sweep does not wake who waits for a person.
    await working.execute(
        "UPDATE fulfillments SET updated_at = now() - interval '1 hour' "  # noqa: S608 - our own ID
        f"WHERE session_id = '{session_id}'"
    )
    before = len((await working.workflow(refund_id).fetch_history()).events)
    await working.sweep()
    assert len((await working.workflow(refund_id).fetch_history()).events) == before
    await working.decide(refund_id, "mark_fulfilled", asked.step, reason="picked it up")
    await settled(working, session_id, [1])
    acts = {row.act: row for row in await rows(working, audit, session_id)}
    assert acts["taken_back"].by == "ops@example.com"
    assert "picked it up" in acts["taken_back"].detail
    # Stripe tells of it by the charge too, and nobody is asked twice.
    charge = await working.shop.charge(session_id)
    await asyncio.wait_for(working.client.get_workflow_handle(charge.id).result(), 30)


async def test_what_a_refund_turns_out_not_to_be_about_waits_for_nothing_else(
    working: World,
) -> None:
    products = (
        {**MANUAL, "note": note} for note in ("taken back", "still wanted", "never refunded")
    )
    session_id = await working.shop.buy(*products)
    first = await working.step_in(session_id, "awaiting_operator")
    await working.decide(session_id, "mark_fulfilled", first.step)
    planned = {row.line_item_id for row in await rows(working, fulfillments, session_id)}
    [done] = [line_item_id for line_item_id in planned if line_item_id in first.step]
    wanted = min(planned - {done})

    async def steps_of(line_item_id: str, state: str) -> bool | None:
        views = (await working.steps(session_id)).items()
        return any(line_item_id in name and view.state == state for name, view in views) or None

    async def decide(**lines: int) -> None:
        answer = await working.api.post(
            f"/orders/{session_id}/reversals/{refund_id}/decision",
            json={"decision": "revoke", "by": "ops", "lines": lines},
            headers=BEARER,
        )
        assert answer.status_code == 200, answer.text

    refund_id = await refund(working, session_id, amount=5)
    await working.step_in(refund_id, "awaiting_operator")
    await decide(**{done: 1, wanted: 1})
    await eventually(lambda: steps_of(wanted, "reversed"))

    async def asked() -> bool | None:
        views = await working.steps(refund_id)
        return f"take_back:{first.step}" in views or None

    await eventually(asked)
    await decide(**{done: 1})
    await eventually(lambda: steps_of(wanted, "awaiting_operator"))
    assert await asked()


async def test_a_person_takes_back_also_what_a_kind_could_not_deliver(working: World) -> None:
    session_id = await working.shop.buy(
        {"fulfillment": "license_key", "license_key_pool": f"empty-{uuid4().hex}"}
    )
    parked = await working.step_in(session_id, "action_required")
    await working.decide(session_id, "mark_fulfilled", parked.step)
    await working.result(session_id)
    refund_id = await refund(working, session_id)
    asked = await working.step_in(refund_id, "awaiting_operator")
    assert asked.step == f"take_back:{parked.step}"


async def test_a_refund_that_fits_no_line_item_asks_an_operator(working: World) -> None:
    session_id = await bought(working, course(), KEYS)
    refund_id = await refund(working, session_id, amount=5)
    await working.step_in(refund_id, "awaiting_operator")
    await settled(working, session_id, [0, 0])
    path = f"/orders/{session_id}/reversals"
    [listed] = (await working.api.get(path, headers=BEARER)).json()
    assert (listed["id"], listed["lines"]) == (refund_id, None)
    assert listed["problem"] == "its amount fits no line item, or several"

    async def decide(status: int, **said: Any) -> None:
        said["by"] = "ops"
        url = f"{path}/{refund_id}/decision"
        answer = await working.api.post(url, json=said, headers=BEARER)
        assert answer.status_code == status, answer.text

    await decide(422, decision="revoke")
    await decide(422, decision="revoke", lines={"li_unknown": 1})
    line = (await working.order(session_id)).lines[0]
    await decide(422, decision="revoke", lines={line.id: 2})
    await decide(422, decision="keep", lines={line.id: 1})
    await decide(200, decision="revoke", lines={line.id: 1})
    await settled(working, session_id, [0, 1])
    # A second thought gives it back.
    await decide(200, decision="keep")
    await settled(working, session_id, [0, 0])
    acts = [(row.act, row.by) for row in await rows(working, audit, session_id)]
    assert sorted(acts) == sorted(
        [
            ("reversal_recorded", "stripe"),
            *[("held", "stripe")] * 2,
            ("reversal_revoke", "ops"),
            *[("released", "ops")] * 2,
            ("reversed", "ops"),
            ("taken_back", "service"),
            ("reversal_keep", "ops"),
            ("reversal_undone", "ops"),
            ("given_back", "service"),
        ]
    )


async def test_reversals_are_for_operators_and_of_their_own_order(working: World) -> None:
    session_id = await bought(working, course())
    path = f"/orders/{session_id}/reversals"
    assert (await working.api.get(path)).status_code == 401
    said = {"decision": "keep", "by": "ops"}
    url = f"{path}/re_{'0' * 24}/decision"
    assert (await working.api.post(url, json=said)).status_code == 401
    assert (await working.api.post(url, json=said, headers=BEARER)).status_code == 404


async def test_a_fraud_warning_holds_what_is_not_delivered_until_it_is_decided(
    working: World, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = await working.shop.checkout(
        await working.shop.price({}), await working.shop.price(KEYS)
    )
    await working.shop.pay(session_id)
    parked = await working.step_in(session_id, "action_required")
    line_id = parked.step.split(":")[0]
    lines = (await working.order(session_id)).lines
    [product_id] = [line.product_id for line in lines if line.id == line_id]
    await working.shop.stripe.v1.products.update_async(str(product_id), {"metadata": KEYS})
    # The step hears of the warning, and tries again by itself; to be held is no failure to log.
    caplog.clear()
    warned = await working.shop.control("POST", f"/sessions/{session_id}/fraud_warning")
    warning_id = warned["early_fraud_warning"]["id"]

    async def says_so() -> bool | None:
        steps = (await working.steps(session_id)).values()
        return any("fulfillment_held" in (step.error or "") for step in steps) or None

    await eventually(says_so)
    assert "Completing activity as failed" not in caplog.text
    said = {"decision": "keep", "by": "ops", "note": "a regular"}
    answer = await working.api.post(
        f"/orders/{session_id}/reversals/{warning_id}/decision", json=said, headers=BEARER
    )
    assert answer.status_code == 200
    assert (await working.result(session_id)).state is OrderState.FULFILLED
    assert len(await rows(working, license_keys, session_id)) == 2
    # Nobody tells a thief that he is suspected.
    sent = {row.name for row in await rows(working, emails, session_id)}
    assert sent == {"receipt", "delivery"}


async def parcel_statuses(world: World, session_id: str) -> list[str]:
    return sorted(row.status for row in await rows(world, parcels, session_id))


async def test_a_refunded_parcel_is_canceled_and_its_pieces_are_in_stock_again(
    working: World,
) -> None:
    sku = await working.new_sku(10)
    session_id = await bought(working, shipment(sku), quantity=3)
    refund_id = await refund(working, session_id)
    await settled(working, session_id, [3])
    assert await working.stock(sku) == 10
    assert await parcel_statuses(working, session_id) == ["canceled"]
    assert [each["canceled"] for each in await working.parcels(session_id)] == [True]
    # The refund comes back: it is shipped after all.
    await working.shop.control("POST", f"/refunds/{refund_id}/end", {"succeeded": False})

    async def shipped_again() -> bool | None:
        return await parcel_statuses(working, session_id) == ["booked", "canceled"] or None

    await eventually(shipped_again)
    await order_in(working, session_id, OrderState.FULFILLED)
    assert await working.stock(sku) == 7


async def test_what_has_left_is_asked_back_and_restocked_when_it_comes(working: World) -> None:
    sku = await working.new_sku(10)
    session_id = await bought(working, shipment(sku), quantity=3)
    [parcel] = await working.parcels(session_id)
    await working.carrier.post(f"/shipments/{parcel['id']}/advance")
    refund_id = await refund(working, session_id, amount=2 * 1999)
    await settled(working, session_id, [2])
    assert await working.stock(sku) == 7
    sent = ("receipt", "parcel_in_transit", "refunded", "return_needed")
    await mailed(working, session_id, *sent)
    path = f"/orders/{session_id}/returns"
    [asked] = (await working.api.get(path, headers=BEARER)).json()
    assert (asked["sku"], asked["quantity"], asked["state"]) == (sku, 2, "asked")
    url = f"{path}/{asked['id']}/received"
    assert (await working.api.post(url, json={"by": "jo"})).status_code == 401
    for _ in range(2):
        answer = await working.api.post(url, json={"by": "jo"}, headers=BEARER)
        assert (answer.status_code, answer.json()["state"]) == (200, "received")
        assert await working.stock(sku) == 9
    acts = [row.act for row in await rows(working, audit, session_id)]
    assert acts.count("return_received") == 1
    await mailed(working, session_id, *sent, "return_received")
    # The refund fails: what came back goes out again, and not what the customer kept.
    await working.shop.control("POST", f"/refunds/{refund_id}/end", {"succeeded": False})

    async def shipped_again() -> bool | None:
        return await parcel_statuses(working, session_id) == ["booked", "in_transit"] or None

    await eventually(shipped_again)
    booked = await working.parcels(session_id)
    assert sorted(each["items"][0]["quantity"] for each in booked) == [2, 3]
    assert await working.stock(sku) == 7


async def test_a_won_dispute_lets_the_customer_keep_what_was_asked_back(working: World) -> None:
    sku = await working.new_sku(10)
    session_id = await bought(working, shipment(sku))
    [parcel] = await working.parcels(session_id)
    await working.carrier.post(f"/shipments/{parcel['id']}/advance")
    opened = await working.shop.control("POST", f"/sessions/{session_id}/dispute")
    dispute_id = opened["dispute"]["id"]

    async def is_held() -> bool | None:
        return all(row.held for row in await rows(working, fulfillments, session_id)) or None

    await eventually(is_held)
    assert await rows(working, returns, session_id) == []
    await mailed(working, session_id, "receipt", "parcel_in_transit", "disputed")
    await working.shop.control("POST", f"/disputes/{dispute_id}/close", {"won": False})
    await settled(working, session_id, [1])
    [asked] = await rows(working, returns, session_id)
    assert asked.state == "asked"
    sent = ("receipt", "parcel_in_transit", "disputed", "dispute_lost", "return_needed")
    await mailed(working, session_id, *sent)
    said = {"decision": "keep", "by": "ops"}
    url = f"/orders/{session_id}/reversals/{dispute_id}/decision"
    assert (await working.api.post(url, json=said, headers=BEARER)).status_code == 200
    await settled(working, session_id, [0])
    assert [row.state for row in await rows(working, returns, session_id)] == ["withdrawn"]
    await mailed(working, session_id, *sent, "restored")
    assert await working.stock(sku) == 9


async def test_a_refund_gives_up_a_place_in_the_queue_for_stock(working: World) -> None:
    sku = await working.new_sku(0)
    product = {**shipment(sku), "shipment_out_of_stock": "backorder"}
    session_id = await working.shop.buy(product, quantity=2)
    await working.step_in(session_id, "waiting")
    await refund(working, session_id)
    assert (await working.result(session_id)).state is OrderState.REVERSED
    await settled(working, session_id, [2])
    assert await rows(working, backorders, session_id) == []
    await working.restock(sku, 5)
    assert await working.parcels(session_id) == []


async def planned(world: World, session_id: str) -> None:
    """Waits until a parcel is written down that the carrier has not answered for."""

    async def is_planned() -> bool | None:
        return await parcel_statuses(world, session_id) == ["planned"] or None

    await eventually(is_planned)


async def test_a_parcel_that_is_being_booked_is_canceled_once_it_is(working: World) -> None:
    sku = await working.new_sku(10)
    await working.carrier.post("/faults", json={"delay_ms": 2000})
    session_id = await working.shop.buy(shipment(sku))
    await planned(working, session_id)
    await refund(working, session_id)
    await settled(working, session_id, [1])
    assert await parcel_statuses(working, session_id) == ["canceled"]
    assert await working.stock(sku) == 10
    assert (await working.result(session_id)).state is OrderState.REVERSED


async def test_a_parcel_of_which_only_the_carrier_knows_is_canceled_too(working: World) -> None:
    sku = await working.new_sku(10)
    lost = {"status": 503, "after_booking": True, "delay_ms": 1000}
    await working.carrier.post("/faults", json=lost)
    session_id = await working.shop.buy(shipment(sku))
    await planned(working, session_id)
    await refund(working, session_id)
    assert (await working.result(session_id)).state is OrderState.REVERSED
    [parcel] = await working.parcels(session_id)
    assert parcel["canceled"] is False
    # As if the longest time had passed that a try may take.
    await working.execute("UPDATE fulfillments SET updated_at = now() - interval '1 hour'")
    await settled(working, session_id, [1])
    [parcel] = await working.parcels(session_id)
    assert parcel["canceled"] is True
    assert await working.stock(sku) == 10


async def test_access_stays_while_another_paid_order_grants_it(working: World) -> None:
    product = {**course(), "access_renewal": "add"}
    first = await bought(working, product)
    second = await bought(working, product)

    async def seats() -> int:
        asked = {"email": "jo@example.com", "feature": product["access_feature"]}
        bearer = {"Authorization": f"Bearer {APP_TOKEN}"}
        answer = await working.api.get("/entitlements", params=asked, headers=bearer)
        return sum(each["quantity"] for each in answer.json()["entitlements"])

    assert await seats() == 4
    await refund(working, first)
    await settled(working, first, [1])
    assert await seats() == 2
    await refund(working, second)
    await settled(working, second, [1])
    assert await seats() == 0


async def test_a_sweep_takes_up_what_was_not_taken_back(world: World) -> None:
    async with world.worker():
        session_id = await bought(world, course())
        await world.sweep()
    refund_id = await refund(world, session_id)

    async def begun() -> bool | None:
        try:
            await world.workflow(refund_id).terminate("lost")
        except RPCError:
            return None
        return True

    async with world.worker():
        await settled(world, session_id, [1])
        # As if its workflow had died before it was taken back.
        await eventually(begun)
        await world.execute(
            "UPDATE fulfillments SET taken_back = 0, updated_at = now() - interval '1 hour' "  # noqa: S608 - our own ID
            f"WHERE session_id = '{session_id}'"
        )
        await world.sweep()
        await settled(world, session_id, [1])
