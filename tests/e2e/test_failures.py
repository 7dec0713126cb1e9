"""What breaks around an order delays it, or asks for an operator; it never loses or doubles it."""

from datetime import timedelta

from domain.orders import FulfillmentState, OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually
from workflows.fulfillment.registry import KINDS


async def test_carrier_failing_for_a_while(world: World) -> None:
    sku = await world.new_sku()
    await world.carrier.post("/faults", json={"status": 500, "count": 3})
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku))
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert await world.retried(session_id) == ["book_shipment"]
    assert len(await world.parcels(session_id)) == 1
    assert await world.stock(sku) == 99
    [mail] = await world.mails()
    assert "tracking number" in mail["text"]


async def test_an_answer_of_the_carrier_that_got_lost_books_no_second_parcel(
    world: World,
) -> None:
    sku = await world.new_sku()
    await world.carrier.post("/faults", json={"status": 502, "count": 2, "after_booking": True})
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku))
        await world.result(session_id)
    assert await world.retried(session_id) == ["book_shipment"]
    assert len(await world.parcels(session_id)) == 1
    assert await world.stock(sku) == 99


async def test_a_refused_address_waits_for_an_operator_and_holds_no_stock(world: World) -> None:
    sku = await world.new_sku()
    await world.carrier.post("/faults", json={"status": 422, "count": 1})
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku), ACCESS)
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.error is not None
        assert stuck.error.startswith("carrier_refused: carrier answered 422")
        order = await world.order(session_id)
        assert order.state is OrderState.ACTION_REQUIRED
        assert order.lines[0].fulfillments[0].error == stuck.error
        assert order.lines[1].fulfillments[0].state is FulfillmentState.FULFILLED
        assert await world.stock(sku) == 100
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        assert "we are on it" in page.text
        assert "carrier_refused" not in page.text

        await world.decide(session_id, "retry", stuck.step, "address was corrected")
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert (await world.order(session_id)).state is OrderState.FULFILLED
    assert len(await world.parcels(session_id)) == 1
    assert await world.stock(sku) == 99
    parcel_mail, receipt = await world.mails()
    assert "confirmed" in receipt["subject"]
    assert "tracking number" in parcel_mail["text"]


async def test_what_a_later_try_is_refused_for_is_told_too(world: World) -> None:
    await world.carrier.post("/faults", json={"status": 500, "count": None})
    async with world.worker():
        session_id = await world.shop.buy(shipment(await world.new_sku()))
        await world.step_in(session_id, "retrying")
        await world.carrier.post("/faults", json={"status": 422, "count": 1})
        stuck = await world.step_in(session_id, "action_required")
        assert (stuck.error or "").startswith("carrier_refused: carrier answered 422")
        await world.decide(session_id, "retry", stuck.step)
        await world.result(session_id)
    assert len(await world.parcels(session_id)) == 1


async def test_a_shortage_waits_and_ships_once_stock_has_come(world: World) -> None:
    sku = await world.new_sku(on_hand=1)
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku), quantity=2)
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.error == f"out_of_stock: SKU {sku}: 2 wanted, 1 on hand"
        assert await world.stock(sku) == 1
        assert await world.parcels(session_id) == []
        await world.restock(sku, 5)
        await world.decide(session_id, "retry", stuck.step)
        await world.result(session_id)
    assert await world.stock(sku) == 3
    assert len(await world.parcels(session_id)) == 1


async def test_a_skipped_step_needs_a_reason_and_closes_the_order_without_it(
    world: World,
) -> None:
    sku = await world.new_sku(on_hand=0)
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku), ACCESS)
        stuck = await world.step_in(session_id, "action_required")
        refusal = await world.refused(session_id, "skip", stuck.step)
        assert refusal == "a skipped step needs a reason"
        refusal = await world.refused(session_id, "retry", "no-such-step")
        assert refusal.startswith("there is no step 'no-such-step'; steps: payment, ")
        refusal = await world.refused(session_id, "retry", "receipt")
        assert refusal == "step 'receipt' is done, it waits for nobody"
        await world.decide(session_id, "skip", stuck.step, "refunded by phone")
        result = await world.result(session_id)
    assert {item.kind: item.state for item in result.fulfillments} == {
        "shipment": FulfillmentState.SKIPPED,
        "access": FulfillmentState.FULFILLED,
    }
    order = await world.order(session_id)
    assert order.lines[0].fulfillments[0].note == "skip by ops@example.com: refunded by phone"
    assert await world.parcels(session_id) == []


async def test_an_unknown_product_waits_until_its_metadata_say_what_it_is(world: World) -> None:
    async with world.worker():
        price_id = await world.shop.price({})
        session_id = await world.shop.checkout(price_id)
        await world.shop.pay(session_id)
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.step.endswith(":unassigned")
        assert stuck.error is not None
        assert stuck.error.startswith("product_unknown")
        price = await world.shop.stripe.v1.prices.retrieve_async(price_id)
        await world.shop.stripe.v1.products.update_async(str(price.product), {"metadata": ACCESS})
        await world.decide(session_id, "retry", stuck.step)
        result = await world.result(session_id)
    assert [(item.kind, item.state) for item in result.fulfillments] == [
        ("access", FulfillmentState.FULFILLED)
    ]
    [line] = (await world.order(session_id)).lines
    [[link]] = [item.delivered for item in line.fulfillments]
    assert link.value == ACCESS["access_url"]


async def test_wrong_metadata_name_the_key_to_mend(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(
            {"fulfillment": "shipment,teleport", "shipment_sku": "X", "shipment_weight_grams": "-1"}
        )
        await world.step_in(session_id, "action_required")
        errors = {
            step.step.partition(":")[2]: step.error
            for step in (await world.steps(session_id)).values()
            if step.error
        }
    assert "shipment_weight_grams: Input should be greater than 0" in str(errors["shipment"])
    assert errors["teleport"] == f"kind_unknown: 'teleport'; known: {', '.join(KINDS)}"


async def test_a_mail_server_that_is_busy_gets_the_mail_later(world: World) -> None:
    await world.inbox.post("/api/faults", json={"status": 451, "count": 2})
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
    assert await world.retried(session_id) == ["send_receipt"]
    assert len(await world.mails()) == 1


async def test_a_refused_mail_waits_for_an_operator_and_the_order_stays_delivered(
    world: World,
) -> None:
    await world.inbox.post("/api/faults", json={"status": 550, "count": 1})
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        stuck = await world.step_in(session_id, "action_required")
        assert stuck.step == "receipt"
        order = await world.order(session_id)
        assert order.state is OrderState.ACTION_REQUIRED
        assert order.error_step == "receipt"
        assert order.lines[0].fulfillments[0].state is FulfillmentState.FULFILLED
        await world.decide(session_id, "retry", "receipt")
        await world.result(session_id)
    assert (await world.order(session_id)).receipt_sent_at is not None
    assert len(await world.mails()) == 1


async def test_stripe_asking_for_patience(skipping_world: World) -> None:
    world = skipping_world
    limit = {"status": 429, "headers": {"Retry-After": "1800"}, "count": 2}
    fault = {"path": "checkout/sessions/cs_", "method": "GET", **limit}
    await world.shop.control("POST", "/faults", fault)
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.step_in(session_id, "retrying")
        for _ in range(2):
            await world.skip(timedelta(minutes=29))
            assert await world.mails() == []
        await world.skip(timedelta(minutes=3))
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert await world.retried(session_id) == ["sync_order"]


async def test_a_mail_server_that_takes_its_time_gets_the_mail_once(world: World) -> None:
    await world.inbox.post("/api/faults", json={"delay_ms": 11_000, "count": None})
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
    assert await world.retried(session_id) == []
    assert len(await world.mails()) == 1


async def test_a_skipped_shipment_gives_its_stock_back(skipping_world: World) -> None:
    world = skipping_world
    sku = await world.new_sku()
    await world.carrier.post("/faults", json={"status": 500, "count": None})
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku))
        await world.step_in(session_id, "retrying")
        await world.skip(timedelta(days=2))
        stuck = await world.step_in(session_id, "action_required")
        assert await world.stock(sku) == 99
        await world.decide(session_id, "skip", stuck.step, "carrier is bankrupt")
        await world.result(session_id)
    assert await world.stock(sku) == 100


async def test_a_parcel_that_was_booked_after_all_cannot_be_skipped(
    skipping_world: World,
) -> None:
    world = skipping_world
    sku = await world.new_sku()
    await world.carrier.post("/faults", json={"status": 422, "count": 1, "after_booking": True})
    async with world.worker():
        session_id = await world.shop.buy(shipment(sku))
        stuck = await world.step_in(session_id, "action_required")
        await world.decide(session_id, "skip", stuck.step, "refused")

        async def refused() -> str | None:
            view = (await world.steps(session_id))[stuck.step]
            return view.error if view.error != stuck.error else None

        assert "has booked this parcel" in await eventually(refused)
        await world.decide(session_id, "retry", stuck.step)
        result = await world.result(session_id)
    assert result.fulfillments[0].state is FulfillmentState.FULFILLED
    assert len(await world.parcels(session_id)) == 1
    assert await world.stock(sku) == 99


async def test_an_unknown_payment_is_not_told_as_an_arrived_one(world: World) -> None:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    fault = {"path": session_id, "method": "GET", "status": 400, "count": 1}
    await world.shop.control("POST", "/faults", fault)
    async with world.worker():
        await world.shop.pay(session_id, "bank_debit")
        await world.step_in(session_id, "action_required")
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
        assert "We are checking your payment" in page.text
        assert "has arrived" not in page.text
        await world.decide(session_id, "retry", "payment")
        await world.step_in(session_id, "waiting")
        assert (await world.order(session_id)).state is OrderState.AWAITING_PAYMENT


async def test_a_payment_that_nobody_can_settle_is_given_up_with_a_reason(world: World) -> None:
    price = await world.shop.price(ACCESS)
    session_id = await world.shop.checkout(price)
    await world.shop.control(
        "POST", "/faults", {"path": session_id, "method": "GET", "status": 400}
    )
    async with world.worker():
        await world.shop.pay(session_id)
        await world.step_in(session_id, "action_required")
        await world.decide(session_id, "skip", "payment", "a test of our own")
        result = await world.result(session_id)
    assert result.state is OrderState.PAYMENT_FAILED
    order = await world.order(session_id)
    assert order.state is OrderState.PAYMENT_FAILED
    assert order.error is None
    assert await world.mails() == []
