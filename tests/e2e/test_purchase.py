"""A purchase from the pay page to the customer's doorstep."""

from domain.orders import FulfillmentState, OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World


async def test_a_paid_session_is_delivered_mailed_and_recorded(world: World) -> None:
    sku = await world.new_sku(on_hand=10)
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku), quantity=2)
        result = await world.result(session_id)

    assert result.state is OrderState.FULFILLED
    assert {item.state for item in result.fulfillments} == {FulfillmentState.FULFILLED}
    [parcel] = await world.parcels(session_id)
    assert parcel["items"] == [{"sku": sku, "quantity": 2, "weight_grams": 350}]
    assert parcel["to"]["line1"] == "1 Main Street"
    assert await world.stock(sku) == 8
    [mail] = await world.mails()
    assert mail["recipients"] == ["jo@example.com"]
    assert ACCESS["access_url"] in mail["text"]
    assert parcel["tracking_number"] in mail["text"]
    assert "$79.96" in mail["text"]
    order = await world.order(session_id)
    assert order.state is OrderState.FULFILLED
    assert order.receipt_sent_at is not None
    assert [line.quantity for line in order.lines] == [2, 2]
