"""Stock that the catalog asks to reserve is held from completion to outcome."""

import pytest

from domain.orders import OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually


def _reserved(sku: str) -> dict[str, str]:
    return {**shipment(sku), "shipment_reserve": "true"}


async def _buy_delayed(world: World, metadata: dict[str, str], quantity: int = 1) -> str:
    price = await world.shop.price(metadata, currency="eur")
    session_id = await world.shop.checkout(
        price, quantity=quantity, allowed_payment_method_types=["sepa_debit"]
    )
    await world.shop.pay(session_id, "bank_debit")
    # It waits once it has asked Stripe and, where that is wanted, reserved.
    await world.step_in(session_id, "waiting")
    return session_id


async def test_what_is_reserved_is_shipped_and_taken_once(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        session_id = await _buy_delayed(world, _reserved(sku), quantity=3)
        assert await world.stock(sku) == 7
        await world.shop.settle(session_id)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert await world.stock(sku) == 7
    assert len(await world.parcels(session_id)) == 1


async def test_a_lost_payment_gives_the_stock_back(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        session_id = await _buy_delayed(world, _reserved(sku))
        assert await world.stock(sku) == 9
        await world.shop.fail(session_id)
        assert (await world.result(session_id)).state is OrderState.PAYMENT_FAILED
        assert await world.stock(sku) == 10

        # A later attempt takes it anew.
        await world.shop.settle(session_id)

        async def fulfilled() -> bool | None:
            return (await world.order(session_id)).state is OrderState.FULFILLED or None

        await eventually(fulfilled)
    assert await world.stock(sku) == 9
    assert len(await world.parcels(session_id)) == 1


async def test_the_last_piece_is_kept_for_who_completed_first(world: World) -> None:
    sku = await world.new_sku(on_hand=1)
    async with world.worker():
        first = await _buy_delayed(world, _reserved(sku))
        second = await world.shop.buy(shipment(sku))
        stuck = await world.step_in(second, "action_required")
        assert "out_of_stock" in str(stuck.error)
        await world.shop.settle(first)
        assert (await world.result(first)).state is OrderState.FULFILLED
        await world.restock(sku, 1)
        await world.decide(second, "retry", stuck.step)
        assert (await world.result(second)).state is OrderState.FULFILLED
    assert await world.stock(sku) == 0


async def test_a_shortage_at_completion_is_no_trouble_if_stock_comes_in_time(
    world: World,
) -> None:
    sku = await world.new_sku(on_hand=0)
    async with world.worker():
        session_id = await _buy_delayed(world, _reserved(sku))
        await world.restock(sku, 5)
        await world.shop.settle(session_id)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert await world.stock(sku) == 4


async def test_nothing_is_held_unless_the_catalog_asks_for_it(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        await _buy_delayed(world, shipment(sku))
    assert await world.stock(sku) == 10


async def test_an_order_given_up_by_an_operator_gives_the_stock_back(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        session_id = await _buy_delayed(world, _reserved(sku))
        fault = {"path": session_id, "method": "GET", "status": 400}
        await world.shop.control("POST", "/faults", fault)
        await world.shop.settle(session_id)
        await world.step_in(session_id, "action_required")
        assert await world.stock(sku) == 9
        await world.decide(session_id, "skip", "payment", "the customer has called")
        assert (await world.result(session_id)).state is OrderState.PAYMENT_FAILED
    assert await world.stock(sku) == 10


async def test_a_shipment_that_is_skipped_gives_the_stock_back(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        session_id = await _buy_delayed(world, _reserved(sku))
        await world.carrier.post("/faults", json={"status": 422})
        await world.shop.settle(session_id)
        stuck = await world.step_in(session_id, "action_required")
        await world.carrier.post("/faults", json={})
        await world.decide(session_id, "skip", stuck.step, "not deliverable")
        await world.result(session_id)
    assert await world.stock(sku) == 10


async def test_a_plan_that_ships_no_more_gives_the_stock_back(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    metadata = _reserved(sku)
    async with world.worker():
        session_id = await _buy_delayed(world, metadata)
        assert await world.stock(sku) == 9
        [line] = (await world.order(session_id)).lines
        await world.shop.stripe.v1.products.update_async(
            str(line.product_id), {"metadata": {**dict.fromkeys(metadata, ""), **ACCESS}}
        )
        await world.shop.settle(session_id)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert await world.stock(sku) == 10
    assert await world.parcels(session_id) == []


@pytest.mark.parametrize("weight", ["heavy", "0"])
async def test_wrong_parameters_hold_nothing_and_wait_for_the_payment(
    world: World, weight: str
) -> None:
    sku = await world.new_sku(on_hand=10)
    wrong = {**_reserved(sku), "shipment_weight_grams": weight}
    async with world.worker():
        session_id = await _buy_delayed(world, wrong)
        assert await world.stock(sku) == 10
        await world.shop.settle(session_id)
        stuck = await world.step_in(session_id, "action_required")
    assert "shipment_weight_grams" in str(stuck.error)
