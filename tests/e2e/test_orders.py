"""Orders of every shape."""

from domain.orders import FulfillmentState, OrderState
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World


async def test_all_of_one_hundred_line_items_are_fulfilled(world: World) -> None:
    prices = [
        await world.shop.price({**ACCESS, "access_feature": f"lesson-{number}"})
        for number in range(100)
    ]
    async with world.worker():
        session_id = await world.shop.checkout(*prices)
        await world.shop.pay(session_id)
        result = await world.result(session_id)
    assert len(result.fulfillments) == 100
    order = await world.order(session_id)
    assert len(order.lines) == 100
    assert all(
        item.state is FulfillmentState.FULFILLED and item.delivered
        for line in order.lines
        for item in line.fulfillments
    )


async def test_a_mixed_order_waits_for_its_operator_and_for_nothing_else(world: World) -> None:
    sku = await world.new_sku()
    bundle = {**ACCESS, **shipment(sku), "fulfillment": "access, shipment"}
    async with world.worker():
        session_id = await world.shop.buy(bundle, MANUAL)
        waiting = await world.step_in(session_id, "awaiting_operator")
        assert waiting.error == "Call the customer"

        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        assert ACCESS["access_url"] in page.text
        assert "We are preparing this for you" in page.text
        [mail] = await world.mails()
        assert "We are preparing this for you" in mail["text"]
        assert (await world.order(session_id)).state is OrderState.PARTIALLY_FULFILLED

        await world.decide(session_id, "mark_fulfilled", waiting.step, "called at noon")
        result = await world.result(session_id)
    assert sorted(item.kind for item in result.fulfillments) == ["access", "manual", "shipment"]
    order = await world.order(session_id)
    assert order.state is OrderState.FULFILLED
    [manual] = order.lines[1].fulfillments
    assert manual.state is FulfillmentState.FULFILLED
    assert manual.note == "mark_fulfilled by ops@example.com: called at noon"
    assert len(await world.mails()) == 1


async def test_a_receipt_in_yen_has_no_decimals_and_speaks_the_sessions_locale(
    world: World,
) -> None:
    async with world.worker():
        price = await world.shop.price(ACCESS, amount=1200, currency="jpy")
        session_id = await world.shop.checkout(price, quantity=3, locale="de")
        await world.shop.pay(session_id)
        await world.result(session_id)
    [mail] = await world.mails()
    assert "3.600 ¥" in mail["text"].replace("\N{NO-BREAK SPACE}", " ")
    assert "3.600 ¥" in mail["subject"].replace("\N{NO-BREAK SPACE}", " ")


async def test_a_quantity_that_the_customer_chose_is_what_is_delivered(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku), quantity=4)
        await world.result(session_id)
    assert await world.stock(sku) == 6


async def test_the_sums_of_a_discounted_receipt_add_up(world: World) -> None:
    async with world.worker():
        coupon = await world.shop.stripe.v1.coupons.create_async(
            {"amount_off": 500, "currency": "usd", "duration": "once"}
        )
        price = await world.shop.price(ACCESS, amount=2000)
        session_id = await world.shop.checkout(price, discounts=[{"coupon": coupon.id}])
        await world.shop.pay(session_id)
        await world.result(session_id)
    [mail] = await world.mails()
    assert "1 x access: $20.00" in mail["text"]
    assert "Discount: -$5.00" in mail["text"]
    assert "Total: $15.00" in mail["text"]


async def test_a_free_order_is_fulfilled_without_payment(world: World) -> None:
    async with world.worker():
        price = await world.shop.price(ACCESS, amount=0)
        session_id = await world.shop.checkout(price)
        await world.shop.pay(session_id)
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert (await world.order(session_id)).payment_status == "no_payment_required"
