"""What happens to paid orders when stock runs out, until it comes or is not waited for."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from database.parcels import read_parcels
from database.questions import read_questions
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.orders import FulfillmentState, Order, OrderState, Question
from tests.commands.programs import environment, run_command
from tests.harness.shop import ACCESS, CUSTOMER_ADDRESS, shipment
from tests.harness.world import SIGNING_SECRET, World, eventually

BACKORDERED = FulfillmentState.BACKORDERED
ASKED = FulfillmentState.AWAITING_CUSTOMER
SUBJECTS = {
    Question.OUT_OF_STOCK: "Sold out",
    Question.ADDRESS: "We need another address",
}
REFUSED = {**CUSTOMER_ADDRESS, "postal_code": "00000"}
"""An address that the local carrier does not know."""
NEW = {"name": "Jo Doe", "line1": "2 Oak Street", "city": "Salem", "country": "US"}


def _sold(sku: str, policy: str, **parameters: str) -> dict[str, str]:
    return {**shipment(sku), "shipment_out_of_stock": policy, **parameters}


def _shipments(order: Order | None) -> list[FulfillmentState]:
    lines = order.lines if order else ()
    items = [item for line in lines for item in line.fulfillments]
    return [item.state for item in items if item.kind == "shipment"]


async def _until(world: World, session_id: str, state: FulfillmentState) -> None:
    async def reached() -> bool | None:
        return True if _shipments(await world.order_or_none(session_id)) == [state] else None

    await eventually(reached)


async def _mailed_links(world: World, session_id: str, question: Question) -> list[str]:
    """The tokens of the links in an order's mails that ask a question."""
    links = Links(world.settings.public_url, [SIGNING_SECRET])
    tokens = []
    for mail in await world.mails():
        if not mail["subject"].startswith(SUBJECTS[question]):
            continue
        for token in re.findall(r"/answer\?token=(\S+)", mail["text"]):
            read = links.read_answer(token)
            if read.session_id == session_id and read.question is question:
                tokens.append(token)
    return tokens


async def _answer(
    world: World, session_id: str, question: Question, **fields: str
) -> httpx.Response:
    """Answers by the link that was mailed."""

    async def mailed() -> str | None:
        tokens = await _mailed_links(world, session_id, question)
        return tokens[0] if tokens else None

    token = await eventually(mailed)
    data = {"token": token, **fields}
    page = await world.api.post("/answer", data=data, follow_redirects=True)
    assert page.status_code == 200
    return page


async def _bought_for_a_refused_address(world: World, sku: str) -> str:
    session_id = await world.shop.checkout(await world.shop.price(shipment(sku)))
    await world.shop.pay(session_id, address=REFUSED)
    return session_id


async def _days_to_answer(world: World, session_id: str, question: Question) -> int:
    """How long the customer may take, in whole days."""
    async with world.database.transaction() as connection:
        asked = await read_questions(connection, await _shipment(world, session_id))
    default_at = asked[question].default_at
    assert default_at is not None
    return round((default_at - datetime.now(UTC)) / timedelta(days=1))


async def _shipment(world: World, session_id: str) -> FulfillmentRef:
    [line] = (await world.order(session_id)).lines
    return FulfillmentRef(session_id=session_id, line_item_id=line.id, kind="shipment")


def _woken(told: str) -> int:
    """How many shipments a command has told; those that other tests have left behind too."""
    return int(told.splitlines()[-1].split()[0])


async def test_who_queues_is_served_in_turn_when_stock_is_imported(
    world: World, tmp_path: Path
) -> None:
    sku = await world.new_sku(on_hand=2)
    metadata = _sold(sku, "backorder")
    async with world.worker():
        orders = await asyncio.gather(*(world.shop.buy(metadata) for _ in range(6)))

        async def settled() -> Counter[FulfillmentState] | None:
            states = [_shipments(await world.order_or_none(order)) for order in orders]
            found = Counter(state for each in states for state in each)
            return found if found.total() - found[FulfillmentState.PENDING] == 6 else None

        assert await eventually(settled) == {FulfillmentState.FULFILLED: 2, BACKORDERED: 4}
        (tmp_path / "stock.csv").write_text(f"sku,on_hand\n{sku},3\n")
        command = ("stock", "import", "stock.csv")
        imported = await run_command(tmp_path, environment(world.settings), *command)
        assert _woken(imported.out) >= 3, imported.err

        async def served() -> bool | None:
            states = [_shipments(await world.order(order)) for order in orders]
            return True if states.count([FulfillmentState.FULFILLED]) == 5 else None

        await eventually(served)
        [late] = [
            order for order in orders if _shipments(await world.order(order)) != ["fulfilled"]
        ]
        assert await world.stock(sku) == 0
        last = await run_command(
            tmp_path, environment(world.settings), "stock", "receive", sku, "1"
        )
        assert _woken(last.out) >= 1, last.err
        assert (await world.result(late)).state is OrderState.FULFILLED
    assert sorted([len(await world.parcels(order)) for order in orders]) == [1] * 6


async def test_who_wants_the_money_back_leaves_the_queue_to_the_next(world: World) -> None:
    sku = await world.new_sku(on_hand=1)
    metadata = _sold(sku, "refund_offer")
    async with world.worker():
        # Wants two and blocks who wants one, since it came first.
        first = await world.shop.buy(metadata, ACCESS, quantity=2)
        await _until(world, first, ASKED)
        second = await world.shop.buy(metadata)
        await _until(world, second, ASKED)
        await _answer(world, second, Question.OUT_OF_STOCK, choice="wait")
        await _until(world, second, BACKORDERED)
        assert await world.stock(sku) == 1

        await _answer(world, first, Question.OUT_OF_STOCK, choice="refund")
        stuck = await world.step_in(first, "action_required")
        assert str(stuck.error).startswith("refund_chosen: stock ran out")
        assert "chosen (by customer)" in str(stuck.error)
        assert (await world.result(second)).state is OrderState.FULFILLED
        assert (await world.order(first)).state is OrderState.ACTION_REQUIRED
        # The mail has promised it: nobody has to ask for the refund.
        assert (await world.result(first)).state is OrderState.FULFILLED
        assert _shipments(await world.order(first)) == [FulfillmentState.REVERSED]
        charge = await world.shop.charge(first)
        assert charge.amount_refunded == 2 * 1999
    for order in (first, second):
        assert len(await _mailed_links(world, order, Question.OUT_OF_STOCK)) == 1
    assert await world.parcels(first) == []


async def test_without_an_answer_the_money_goes_back(skipping_world: World) -> None:
    world = skipping_world
    sku = await world.new_sku(on_hand=0)
    async with world.worker():
        session_id = await world.shop.buy(_sold(sku, "refund_offer", shipment_answer_days="3"))
        await _until(world, session_id, ASKED)
        assert await _days_to_answer(world, session_id, Question.OUT_OF_STOCK) == 3
        # The database's clock decides, and no test waits for three days.
        await world.execute(
            "UPDATE questions SET default_at = now() "  # noqa: S608 - our own ID
            f"WHERE session_id = '{session_id}'"
        )
        await world.skip(timedelta(days=3, minutes=1))
        assert (await world.result(session_id)).state is OrderState.REVERSED
        assert (await world.shop.charge(session_id)).refunded


async def test_a_backorder_that_is_skipped_leaves_the_queue_to_the_next(world: World) -> None:
    sku = await world.new_sku(on_hand=1)
    metadata = _sold(sku, "backorder")
    async with world.worker():
        first = await world.shop.buy(metadata, ACCESS, quantity=2)
        await _until(world, first, BACKORDERED)
        second = await world.shop.buy(metadata)
        await _until(world, second, BACKORDERED)
        waiting = await world.step_in(first, "waiting")
        assert "out_of_stock: SKU" in str(waiting.error)
        assert (await world.order(first)).state is OrderState.PARTIALLY_FULFILLED
        await world.decide(first, "skip", waiting.step, "as agreed by phone")
        assert (await world.result(second)).state is OrderState.FULFILLED
        assert (await world.result(first)).state is OrderState.FULFILLED
        [token] = await _mailed_links(world, first, Question.OUT_OF_STOCK)
        assert (await world.api.get("/answer", params={"token": token})).status_code == 410


async def test_what_was_reserved_for_too_long_goes_to_who_waits(world: World) -> None:
    sku = await world.new_sku(on_hand=1)
    metadata = _sold(sku, "backorder", shipment_reserve="true", shipment_reserve_days="5")
    async with world.worker():
        slow = await world.buy_delayed(metadata)

        async def held() -> bool | None:
            return True if await world.stock(sku) == 0 else None

        await eventually(held)
        waiting = await world.shop.buy(_sold(sku, "backorder"))
        await _until(world, waiting, BACKORDERED)
        assert (await world.sweep()).expired == 0
        await world.execute(
            "UPDATE stock_reservations SET expires_at = now() "  # noqa: S608 - our own ID
            f"WHERE session_id = '{slow}' AND expires_at > now() + interval '4 days'"
        )
        report = await world.sweep()
        assert report.expired == 1
        assert report.woken >= 1
        assert (await world.result(waiting)).state is OrderState.FULFILLED

        # The payment that settles after all takes stock anew, by its own policy.
        await world.shop.settle(slow)
        await _until(world, slow, BACKORDERED)
        await world.restock(sku, 1)
        assert (await world.sweep()).woken >= 1
        assert (await world.result(slow)).state is OrderState.FULFILLED
    assert await world.stock(sku) == 0


async def test_an_address_that_the_carrier_refuses_is_asked_for_anew(world: World) -> None:
    sku = await world.new_sku(on_hand=3)
    async with world.worker():
        session_id = await _bought_for_a_refused_address(world, sku)
        await _until(world, session_id, ASKED)
        assert await world.stock(sku) == 2
        assert await world.parcels(session_id) == []
        assert await _days_to_answer(world, session_id, Question.ADDRESS) == 14
        page = await _answer(world, session_id, Question.ADDRESS, **NEW, postal_code="97301")
        assert "We send it to the address that you have given us." in page.text
        assert (await world.result(session_id)).state is OrderState.FULFILLED
        # The receipt went out before: the parcel has a mail of its own.
        assert {"receipt", "delivery_mail_1"} <= (await world.steps(session_id)).keys()
    [parcel] = await world.parcels(session_id)
    assert parcel["to"]["city"] == "Salem"
    assert parcel["to"]["line1"] == "2 Oak Street"
    assert await world.stock(sku) == 2


async def test_what_the_carrier_has_booked_after_all_is_not_skipped_while_the_customer_is_asked(
    world: World,
) -> None:
    sku = await world.new_sku(on_hand=1)
    async with world.worker():
        session_id = await _bought_for_a_refused_address(world, sku)
        asked = await world.step_in(session_id, "waiting")
        async with world.database.transaction() as connection:
            [parcel] = await read_parcels(connection, await _shipment(world, session_id))
        item = {"sku": sku, "quantity": 1, "weight_grams": 100}
        booked = await world.carrier.post(
            "/shipments",
            json={"reference": parcel.reference, "to": CUSTOMER_ADDRESS, "items": [item]},
            headers={"Idempotency-Key": "by hand"},
        )
        assert booked.status_code == 201
        await world.decide(session_id, "skip", asked.step, "nobody answers")
        refused = await world.step_in(session_id, "action_required")
        assert "has booked this parcel" in str(refused.error)
    assert _shipments(await world.order(session_id)) == [FulfillmentState.ACTION_REQUIRED]
    assert await world.stock(sku) == 0


async def test_an_address_that_is_refused_again_waits_for_an_operator_and_is_kept(
    world: World,
) -> None:
    sku = await world.new_sku(on_hand=1)
    async with world.worker():
        session_id = await _bought_for_a_refused_address(world, sku)
        await _answer(world, session_id, Question.ADDRESS, **NEW, postal_code="00000")
        stuck = await world.step_in(session_id, "action_required")
        assert str(stuck.error).startswith("address_refused")
        assert await world.stock(sku) == 1
        # A retry asks Stripe anew, which still tells of the first address.
        await world.decide(session_id, "retry", stuck.step)

        async def tried_again() -> bool | None:
            step = (await world.steps(session_id))[stuck.step]
            return True if (step.tries, step.state) == (2, "action_required") else None

        await eventually(tried_again)
        address = (await world.order(session_id)).shipping_address
        assert address is not None
        assert address.city == "Salem"
    assert len(await _mailed_links(world, session_id, Question.ADDRESS)) == 1
