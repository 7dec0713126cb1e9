"""Kind `webhook`: the merchant's own service fulfills, at once or later, and only once."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from database.tables import service_calls
from domain.orders import Deliverable, Fulfillment, FulfillmentState, OrderState
from tests.e2e.test_reversals import bought, refund, settled
from tests.harness.service import (
    FULFILLED,
    KEY,
    PENDING,
    Answer,
    MerchantService,
    call_back,
    merchant_service,
)
from tests.harness.shop import CUSTOMER
from tests.harness.world import World
from workflows.fulfillment.webhook import WEBHOOK

DELIVERED = Deliverable.model_validate(KEY)


@pytest.fixture
async def service() -> AsyncIterator[MerchantService]:
    async with merchant_service() as running:
        yield running


async def fulfillment(world: World, session_id: str) -> Fulfillment:
    [line] = (await world.order(session_id)).lines
    [only] = line.fulfillments
    return only


async def call_ids(world: World, session_id: str) -> list[str]:
    of_order = service_calls.c.session_id == session_id
    async with world.database.transaction() as connection:
        return list(await connection.scalars(select(service_calls.c.id).where(of_order)))


async def test_the_service_gets_all_it_needs_and_delivers_at_once(
    world: World, service: MerchantService
) -> None:
    async with world.worker():
        price_id = await world.shop.price(service.metadata, name="Concert ticket")
        session_id = await world.shop.checkout(price_id, quantity=2, client_reference_id="cart-7")
        await world.shop.pay(session_id)
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    assert (await fulfillment(world, session_id)).delivered == (DELIVERED,)
    [line] = (await world.order(session_id)).lines
    [call_id] = await call_ids(world, session_id)
    [asked] = service.asked
    assert asked["id"] == call_id
    assert asked["type"] == "fulfillment.requested"
    data = asked["data"]
    assert data["session_id"] == session_id
    assert data["livemode"] is False
    assert data["client_reference_id"] == "cart-7"
    assert data["line_item"] == {
        "id": line.id,
        "description": "Concert ticket",
        "quantity": 2,
        "price_id": price_id,
        "product_id": line.product_id,
        "amount_total_minor": 3998,
        "currency": "usd",
    }
    assert data["customer"]["email"] == CUSTOMER["email"]
    assert data["customer"]["shipping_address"]["postal_code"] == "62701"
    assert data["webhook_data"] == "row=12"
    assert data["callback_url"] == f"{world.settings.public_url}/fulfillments/{call_id}"


async def test_what_it_delivers_is_on_the_landing_page_but_not_in_the_history(
    world: World, service: MerchantService
) -> None:
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        await world.result(session_id)
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert KEY["value"] in page.text
    history = await world.workflow(session_id).fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    assert b"call_service" in stored
    for personal in (KEY["value"], CUSTOMER["email"], CUSTOMER["name"]):
        assert str(personal).encode() not in stored


async def test_a_service_that_takes_its_time_calls_back(
    world: World, service: MerchantService
) -> None:
    service.answers = [Answer(PENDING, status=202)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        waiting = await world.step_in(session_id, "waiting")
        assert waiting.error == "the service has it in hand, and will call back"
        assert (await fulfillment(world, session_id)).state is FulfillmentState.AWAITING_SERVICE
        [call_id] = await call_ids(world, session_id)
        answer = await call_back(world.api, call_id, FULFILLED)
        assert answer.status_code == 200, answer.text
        await world.result(session_id)
    assert (await fulfillment(world, session_id)).delivered == (DELIVERED,)
    assert len(service.asked) == 1


async def test_an_empty_202_means_later(world: World, service: MerchantService) -> None:
    service.answers = [Answer(b"", status=202)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        await world.step_in(session_id, "waiting")
        assert (await fulfillment(world, session_id)).state is FulfillmentState.AWAITING_SERVICE


async def test_a_lost_callback_strands_nothing(
    skipping_world: World, service: MerchantService
) -> None:
    world = skipping_world
    service.answers = [Answer(PENDING), Answer(PENDING), Answer(FULFILLED)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        await world.step_in(session_id, "waiting")
        await world.skip(timedelta(hours=12))
        await world.result(session_id)
    assert len({asked["id"] for asked in service.asked}) == 1
    assert len(service.asked) == 3


async def test_a_service_that_is_away_for_a_while_is_asked_again_under_the_same_id(
    world: World, service: MerchantService
) -> None:
    service.answers = [Answer(status=503), Answer(b"{", status=200), Answer(FULFILLED)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        await world.result(session_id)
    assert await world.retried(session_id) == ["call_service"]
    assert len(service.asked) == 3
    assert all(asked == service.asked[0] for asked in service.asked)


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_refusal_waits_for_an_operator(
    world: World, service: MerchantService, status: int
) -> None:
    service.answers = [Answer({"error": "jo@example.com"}, status=status), Answer(FULFILLED)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        stuck = await world.step_in(session_id, "action_required")
        assert (stuck.error or "").startswith(f"service_refused: service answered {status}")
        await world.decide(session_id, "retry", stuck.step, "its rule is mended")
        await world.result(session_id)
    assert (await fulfillment(world, session_id)).delivered == (DELIVERED,)


async def test_it_follows_no_redirect(world: World, service: MerchantService) -> None:
    service.answers = [Answer(status=307, headers={"Location": service.url})]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        stuck = await world.step_in(session_id, "action_required")
    assert (stuck.error or "").startswith("service_refused: service answered 307")
    assert len(service.asked) == 1


async def test_after_a_failure_a_retry_asks_anew_under_another_id(
    world: World, service: MerchantService
) -> None:
    failed = {"status": "failed", "reason": "no_seats_left"}
    service.answers = [Answer(failed), Answer(FULFILLED)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        stuck = await world.step_in(session_id, "action_required")
        [first] = await call_ids(world, session_id)
        assert stuck.error == f"service_failed: call {first}: no_seats_left"
        assert (await fulfillment(world, session_id)).error == stuck.error
        await world.decide(session_id, "retry", stuck.step, "more seats")
        await world.result(session_id)
    [second] = await call_ids(world, session_id)
    assert [asked["id"] for asked in service.asked] == [first, second]
    assert first != second
    assert (await call_back(world.api, first, FULFILLED)).status_code == 404


async def test_a_failure_that_is_called_back_waits_for_an_operator(
    world: World, service: MerchantService
) -> None:
    service.answers = [Answer(PENDING)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        await world.step_in(session_id, "waiting")
        [call_id] = await call_ids(world, session_id)
        await call_back(world.api, call_id, {"status": "failed", "reason": "no_seats_left"})
        stuck = await world.step_in(session_id, "action_required")
    assert stuck.error == f"service_failed: call {call_id}: no_seats_left"


async def test_what_an_operator_has_given_up_the_service_cannot_deliver_any_more(
    world: World, service: MerchantService
) -> None:
    service.answers = [Answer(PENDING)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        waiting = await world.step_in(session_id, "waiting")
        await world.decide(session_id, "skip", waiting.step, "the customer has canceled")
        await world.result(session_id)
        [call_id] = await call_ids(world, session_id)
        assert (await call_back(world.api, call_id, FULFILLED)).status_code == 410
    given_up = await fulfillment(world, session_id)
    assert given_up.state is FulfillmentState.SKIPPED
    assert given_up.delivered == ()


async def test_a_service_that_is_silent_for_a_month_needs_an_operator_and_keeps_its_id(
    world: World, service: MerchantService
) -> None:
    service.answers = [Answer(PENDING)]
    async with world.worker():
        session_id = await world.shop.buy(service.metadata)
        waiting = await world.step_in(session_id, "waiting")
        await world.execute(
            "UPDATE service_calls SET updated_at = now() - interval '31 days' "  # noqa: S608 - ours
            f"WHERE session_id = '{session_id}'"
        )
        await world.fulfillments.wake(session_id, waiting.step, account=None)
        late = await world.step_in(session_id, "action_required")
        assert (late.error or "").startswith("service_late")
        await world.decide(session_id, "retry", late.step, "they promise it for tomorrow")
        await world.step_in(session_id, "waiting")
        [call_id] = await call_ids(world, session_id)
        await call_back(world.api, call_id, FULFILLED)
        await world.result(session_id)
    assert {asked["id"] for asked in service.asked} == {call_id}


async def test_without_a_secret_it_is_an_alarm(world: World, service: MerchantService) -> None:
    async with world.with_settings(app_webhook_secrets=()).worker():
        session_id = await world.shop.buy(service.metadata)
        stuck = await world.step_in(session_id, "alarm")
    assert (stuck.error or "").startswith("service_unsigned: APP_WEBHOOK_SECRETS is missing")
    assert service.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://seats.example.com/fulfill",
        "ftp://seats.example.com",
        "https://",
        "https://user@seats.example.com",
        "https://seats.example.com:port/",
        "javascript:alert(1)",
    ],
)
def test_a_url_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^webhook_url: "):
        WEBHOOK.parse({"url": url})


async def test_a_service_that_understands_it_is_told_of_refunds(
    world: World, service: MerchantService
) -> None:
    async with world.worker():
        metadata = {**service.metadata, "webhook_reversals": "true"}
        session_id = await bought(world, metadata, quantity=2)
        await refund(world, session_id, amount=1999)
        await settled(world, session_id, [1])
        refund_id = await refund(world, session_id)
        await settled(world, session_id, [2])
        await world.shop.control("POST", f"/refunds/{refund_id}/end", {"succeeded": False})
        await settled(world, session_id, [1])
    asked, *told = service.asked
    assert {each["type"] for each in told} == {"fulfillment.reversed"}
    assert {each["data"]["fulfillment_id"] for each in told} == {asked["id"]}
    # The workflows of a refund and of its charge may both tell: under one ID.
    said = {each["id"]: each["data"]["quantity_kept"] for each in told}
    assert list(said.values()) == [1, 0, 1]


async def test_what_a_service_is_not_told_of_a_person_takes_back(
    world: World, service: MerchantService
) -> None:
    async with world.worker():
        session_id = await bought(world, service.metadata)
        refund_id = await refund(world, session_id)
        stuck = await world.step_in(refund_id, "action_required")
        assert str(stuck.error).startswith("service_not_told")
        await world.decide(refund_id, "mark_fulfilled", stuck.step, "freed the seat")
        await settled(world, session_id, [1])
    assert len(service.asked) == 1
