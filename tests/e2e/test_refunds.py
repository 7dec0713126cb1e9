"""What cannot be delivered is refunded: by an operator, or by policy, and once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from database.order_list import OrderFilter, list_orders
from database.tables import audit, entitlements
from domain.orders import OrderState
from domain.refunds import REQUEST_KEY
from tests.e2e.test_reversals import BEARER, bought, course, refund, rows, settled
from tests.harness.shop import ACCESS, MANUAL
from tests.harness.world import World, eventually

BY = {"by": "ops", "note": "came broken"}


@pytest.fixture
async def working(world: World) -> AsyncIterator[World]:
    async with world.worker():
        yield world


async def ask(world: World, session_id: str, key: str | None = None, **said: Any) -> Any:
    headers = BEARER | ({"Idempotency-Key": key} if key else {})
    url = f"/orders/{session_id}/refunds"
    return await world.api.post(url, json={**BY, **said}, headers=headers)


async def refunded(world: World, session_id: str, amount: int) -> None:
    async def is_so() -> bool | None:
        return (await world.shop.charge(session_id)).amount_refunded == amount or None

    await eventually(is_so)


def no_keys_left() -> dict[str, str]:
    return {"fulfillment": "license_key", "license_key_pool": f"empty-{uuid4().hex}"}


async def test_an_operator_refunds_what_cannot_be_delivered(working: World) -> None:
    session_id = await working.shop.buy(no_keys_left(), quantity=2)
    await working.step_in(session_id, "action_required")
    answer = await ask(working, session_id, reason="requested_by_customer")
    assert answer.status_code == 202, answer.text
    assert (await working.result(session_id)).state is OrderState.REVERSED
    await refunded(working, session_id, 2 * 1999)
    [listed] = (await working.api.get(f"/orders/{session_id}/refunds", headers=BEARER)).json()
    made = await working.shop.stripe.v1.refunds.retrieve_async(listed["refund_id"])
    assert (listed["state"], made.reason) == ("made", "requested_by_customer")
    acts = {row.act: row for row in await rows(working, audit, session_id)}
    assert (acts["refund_requested"].by, acts["refund_made"].by) == ("ops", "ops")
    assert "came broken" in acts["refund_requested"].detail
    assert (await ask(working, session_id)).status_code == 422


async def test_some_pieces_are_refunded_by_their_price_and_taken_back(working: World) -> None:
    price = await working.shop.price(course(), amount=1000)
    coupon = await working.shop.stripe.v1.coupons.create_async(
        {"amount_off": 1000, "currency": "usd"}
    )
    session_id = await working.shop.checkout(price, quantity=3, discounts=[{"coupon": coupon.id}])
    await working.shop.pay(session_id)
    await working.result(session_id)
    [line] = (await working.order(session_id)).lines
    # Three pieces for 20.00: 6.66, 6.67 and 6.67.
    sums = []
    for pieces in (1, 2, 3):
        answer = await ask(working, session_id, lines={line.id: 1})
        assert answer.status_code == 202, answer.text
        sums.append(answer.json()["amount"]["amount_minor"])
        await settled(working, session_id, [pieces])
    assert sums == [666, 667, 667]
    assert (await working.shop.charge(session_id)).refunded
    assert (await ask(working, session_id, lines={line.id: 1})).status_code == 422


async def test_an_amount_alone_takes_nothing_back(working: World) -> None:
    session_id = await bought(working, course())
    answer = await ask(working, session_id, amount_minor=500)
    assert answer.json()["lines"] == {}
    await refunded(working, session_id, 500)
    [request] = (await working.api.get(f"/orders/{session_id}/refunds", headers=BEARER)).json()

    async def is_recorded() -> bool | None:
        listed = await working.api.get(f"/orders/{session_id}/reversals", headers=BEARER)
        return [each["lines"] for each in listed.json()] == [{}] or None

    await eventually(is_recorded)
    await settled(working, session_id, [0])
    assert request["amount"]["amount_minor"] == 500


async def test_asked_twice_under_one_key_it_is_refunded_once(working: World) -> None:
    session_id = await bought(working, course(), quantity=2)
    [line] = (await working.order(session_id)).lines
    key = uuid4().hex
    answers = [await ask(working, session_id, key, lines={line.id: 1}) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    await settled(working, session_id, [1])
    assert (await working.shop.charge(session_id)).amount_refunded == 1999
    assert (await ask(working, session_id, key, lines={line.id: 2})).status_code == 409


async def test_what_stripe_made_before_is_found_again(world: World) -> None:
    async with world.worker():
        session_id = await bought(world, course())
    asked = (await ask(world, session_id)).json()
    # As if the worker had died on Stripe's answer, longer ago than Stripe keeps its keys.
    made = await refund(world, session_id, metadata={REQUEST_KEY: asked["id"]}, amount=500)
    async with world.worker():

        async def is_made() -> bool | None:
            listed = await world.api.get(f"/orders/{session_id}/refunds", headers=BEARER)
            return listed.json()[0]["refund_id"] == made or None

        await eventually(is_made)
        await settled(world, session_id, [1])
    assert (await world.shop.charge(session_id)).amount_refunded == 500


async def test_what_stripe_refuses_waits_for_an_operator(working: World) -> None:
    session_id = await bought(working, course())
    fault = {"path": "/v1/refunds", "method": "POST", "status": 400, "count": 1}
    await working.shop.control("POST", "/faults", fault)
    asked = (await ask(working, session_id)).json()
    stuck = await working.step_in(f"refund:{asked['id']}", "action_required")
    assert str(stuck.error).startswith("stripe_refused")
    assert (await working.order(session_id)).error_step == "refund"
    await working.decide(f"refund:{asked['id']}", "retry", "refund")
    await settled(working, session_id, [1])
    assert (await working.shop.charge(session_id)).refunded


async def test_a_key_that_may_not_refund_raises_an_alarm_and_the_refund_can_be_given_up(
    working: World,
) -> None:
    session_id = await bought(working, course())
    fault = {"path": "/v1/refunds", "method": "POST", "status": 403}
    await working.shop.control("POST", "/faults", fault)
    asked = (await ask(working, session_id)).json()
    workflow_id = f"refund:{asked['id']}"
    await working.step_in(workflow_id, "alarm")
    await working.decide(workflow_id, "skip", "refund", "paid by bank transfer")
    await working.workflow(workflow_id).result()
    [request] = (await working.api.get(f"/orders/{session_id}/refunds", headers=BEARER)).json()
    assert request["state"] == "given_up"
    acts = {row.act: row.detail for row in await rows(working, audit, session_id)}
    assert "paid by bank transfer" in acts["refund_given_up"]
    # It is there to be refunded still.
    await working.shop.control("DELETE", "/faults")
    assert (await ask(working, session_id)).status_code == 202
    await settled(working, session_id, [1])


async def test_the_catalog_says_what_is_refunded_without_an_operator(
    world: World, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[refunds]\nautomatic = ["pool_empty"]\n')
    async with world.with_settings(catalog_file=catalog).worker():
        session_id = await world.shop.buy(no_keys_left(), ACCESS, quantity=2)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
        assert (await world.shop.charge(session_id)).amount_refunded == 2 * 1999
        assert len(await rows(world, entitlements, session_id)) == 1
        acts = {row.act: row for row in await rows(world, audit, session_id)}
        assert acts["refund_requested"].by == "policy"
        # The bank sends it back: an operator is asked, and nothing is refunded in a circle.
        [request] = (await world.api.get(f"/orders/{session_id}/refunds", headers=BEARER)).json()
        path = f"/refunds/{request['refund_id']}/end"
        await world.shop.control("POST", path, {"succeeded": False})
        await world.step_in(session_id, "action_required")
        listed = await world.api.get(f"/orders/{session_id}/refunds", headers=BEARER)
        assert len(listed.json()) == 1


async def test_a_subscription_s_first_payment_is_refunded(working: World) -> None:
    product = await working.shop.stripe.v1.products.create_async(
        {"name": "Membership", "metadata": course()}
    )
    price = await working.shop.stripe.v1.prices.create_async(
        {
            "product": product.id,
            "unit_amount": 900,
            "currency": "usd",
            "recurring": {"interval": "month"},
        }
    )
    session_id = await working.shop.checkout(
        price.id, mode="subscription", shipping_address_collection=None
    )
    await working.shop.pay(session_id)
    await working.result(session_id)
    assert (await ask(working, session_id)).status_code == 202
    await settled(working, session_id, [1])
    [entitlement] = await rows(working, entitlements, session_id)
    assert entitlement.revoked_at is not None


async def test_refunds_are_for_operators_and_for_what_was_paid(working: World) -> None:
    session_id = await working.buy_delayed(ACCESS)
    url = f"/orders/{session_id}/refunds"
    assert (await working.api.post(url, json=BY)).status_code == 401
    assert (await ask(working, "cs_test_unknown")).status_code == 404
    assert (await ask(working, session_id)).status_code == 409
    paid = await bought(working, course())
    [line] = (await working.order(paid)).lines
    for said in ({"amount_minor": 5000}, {"lines": {line.id: 2}}, {"lines": {"li_x": 1}}):
        assert (await ask(working, paid, **said)).status_code == 422


async def test_the_web_ui_says_what_each_workflow_is_for(working: World) -> None:
    session_id = await bought(working, course())
    asked = (await ask(working, session_id)).json()
    await settled(working, session_id, [1])
    [request] = (await working.api.get(f"/orders/{session_id}/refunds", headers=BEARER)).json()
    summaries = [
        await (await working.workflow(workflow_id).describe()).static_summary()
        for workflow_id in (session_id, f"refund:{asked['id']}", request["refund_id"])
    ]
    assert summaries == [
        "Fulfills a Checkout Session of our own account",
        "Makes a refund at Stripe that was asked for",
        "Takes back what a refund is about",
    ]


async def test_all_that_is_left_takes_back_also_what_stripe_had_refused(working: World) -> None:
    session_id = await bought(working, course(), course())
    first, _second = (await working.order(session_id)).lines
    fault = {"path": "/v1/refunds", "method": "POST", "status": 400, "count": 1}
    await working.shop.control("POST", "/faults", fault)
    asked = (await ask(working, session_id, lines={first.id: 1})).json()
    await working.step_in(f"refund:{asked['id']}", "action_required")
    assert (await ask(working, session_id)).status_code == 202
    await settled(working, session_id, [1, 1])
    await refunded(working, session_id, 2 * 1999)


async def test_a_refused_refund_needs_a_person_also_when_the_order_has_ended(
    working: World,
) -> None:
    session_id = await working.shop.buy(course(), MANUAL)
    by_hand = await working.step_in(session_id, "awaiting_operator")
    fault = {"path": "/v1/refunds", "method": "POST", "status": 400, "count": 1}
    await working.shop.control("POST", "/faults", fault)
    asked = (await ask(working, session_id, amount_minor=100)).json()
    workflow_id = f"refund:{asked['id']}"
    stuck = await working.step_in(workflow_id, "action_required")
    await working.decide(session_id, "mark_fulfilled", by_hand.step)
    await working.result(session_id)

    async def need() -> list[str | None]:
        async with working.database.transaction() as connection:
            wanted = OrderFilter(session_ids=(session_id,), needs_attention=True)
            return [each.problem for each in await list_orders(connection, wanted, 1)]

    [problem] = await need()
    assert str(problem).startswith("stripe_refused: ")
    await working.decide(workflow_id, "retry", stuck.step)
    await working.client.get_workflow_handle(workflow_id).result()
    assert await need() == []
