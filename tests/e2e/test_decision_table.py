"""Each row of docs/decision-table.md, bought at the emulator."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.orders import FulfillmentState, OrderState
from tests.harness.shop import ACCESS
from tests.harness.world import World, eventually

FAILED_MAIL = "Your payment did not go through"
RECEIPT = "Your order is confirmed"


async def _recurring(world: World, **options: Any) -> str:
    product = await world.shop.stripe.v1.products.create_async(
        {"name": "Course, monthly", "metadata": ACCESS}
    )
    price = await world.shop.stripe.v1.prices.create_async(
        {
            "product": product.id,
            "unit_amount": 900,
            "currency": "eur",
            "recurring": {"interval": "month"},
        }
    )
    return await world.shop.checkout(
        price.id, mode="subscription", shipping_address_collection=None, **options
    )


async def _expired(world: World) -> str:
    session_id = await world.shop.checkout(await world.shop.price(ACCESS))
    await world.shop.control("POST", f"/sessions/{session_id}/expire")
    return session_id


async def _setup(world: World) -> str:
    session = await world.shop.stripe.v1.checkout.sessions.create_async(
        {"mode": "setup", "currency": "eur", "success_url": "http://127.0.0.1/after"}
    )
    await world.shop.pay(session.id)
    return session.id


async def _card(world: World) -> str:
    return await world.shop.buy(ACCESS)


async def _free(world: World) -> str:
    session_id = await world.shop.checkout(await world.shop.price(ACCESS, amount=0))
    await world.shop.pay(session_id)
    return session_id


async def _full_discount(world: World) -> str:
    coupon = await world.shop.stripe.v1.coupons.create_async(
        {"percent_off": 100, "duration": "once"}
    )
    price = await world.shop.price(ACCESS)
    session_id = await world.shop.checkout(price, discounts=[{"coupon": coupon.id}])
    await world.shop.pay(session_id)
    return session_id


async def _debit(world: World) -> str:
    price = await world.shop.price(ACCESS, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(session_id, "bank_debit")
    return session_id


async def _debit_arrived(world: World) -> str:
    session_id = await _debit(world)
    await world.shop.settle(session_id)
    return session_id


async def _debit_came_back(world: World) -> str:
    session_id = await _debit(world)
    await world.shop.fail(session_id)
    return session_id


async def _first_period(world: World) -> str:
    session_id = await _recurring(world)
    await world.shop.pay(session_id)
    return session_id


async def _trial(world: World) -> str:
    session_id = await _recurring(world, subscription_data={"trial_period_days": 14})
    await world.shop.pay(session_id)
    return session_id


async def _first_debit(world: World) -> str:
    session_id = await _recurring(world, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(session_id, "bank_debit")
    return session_id


async def _first_debit_came_back(world: World) -> str:
    session_id = await _first_debit(world)
    await world.shop.fail(session_id)
    return session_id


@pytest.mark.parametrize(
    ("buy", "state", "delivered", "mail"),
    [
        (_expired, OrderState.EXPIRED, False, None),
        (_setup, OrderState.FULFILLED, False, None),
        (_card, OrderState.FULFILLED, True, RECEIPT),
        (_debit_arrived, OrderState.FULFILLED, True, RECEIPT),
        (_free, OrderState.FULFILLED, True, RECEIPT),
        (_full_discount, OrderState.FULFILLED, True, RECEIPT),
        (_debit_came_back, OrderState.PAYMENT_FAILED, False, FAILED_MAIL),
        (_debit, OrderState.AWAITING_PAYMENT, False, None),
        (_first_period, OrderState.FULFILLED, True, RECEIPT),
        (_trial, OrderState.FULFILLED, True, RECEIPT),
        (_first_debit_came_back, OrderState.PAYMENT_FAILED, False, FAILED_MAIL),
        (_first_debit, OrderState.AWAITING_PAYMENT, False, None),
    ],
)
async def test_row(
    world: World,
    buy: Callable[[World], Awaitable[str]],
    state: OrderState,
    mail: str | None,
    *,
    delivered: bool,
) -> None:
    async with world.worker():
        session_id = await buy(world)

        async def reached() -> bool | None:
            order = await world.order_or_none(session_id)
            return True if order is not None and order.state is state else None

        await eventually(reached)
        if state is not OrderState.AWAITING_PAYMENT:
            await world.result(session_id)
    order = await world.order(session_id)
    states = [item.state for line in order.lines for item in line.fulfillments]
    assert states == ([FulfillmentState.FULFILLED] if delivered else [])
    assert [each["subject"].split(" (")[0] for each in await world.mails()] == (
        [mail] if mail else []
    )


async def test_an_open_session_has_no_order_yet(world: World) -> None:
    session_id = await world.shop.checkout(await world.shop.price(ACCESS))
    async with world.worker():
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert "This checkout is not finished" in page.text
    assert await world.order_or_none(session_id) is None
