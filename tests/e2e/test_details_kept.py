"""An order keeps what the customer bought, entered and paid, as Stripe tells it."""

from typing import Any

import httpx
import pytest

from domain.checkout import Address, CustomField, PaymentMethod, QuantityOffer
from domain.money import Money
from domain.orders import Order, OrderState
from tests.harness.shop import ACCESS, CUSTOMER_ADDRESS, shipment
from tests.harness.world import OPERATOR_TOKEN, World, eventually

BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
PHONE = "+15550123987"
ENGRAVING = "For Grandma Ottilie"
BILLING_CITY = "Shelbyville"
MASTERCARD = "5555555555554444"
PAGE = {
    "action": "pay",
    "email": "jo@example.com",
    "phone": PHONE,
    "shipping_name": "Jo Doe",
    **{f"shipping_{part}": text for part, text in CUSTOMER_ADDRESS.items()},
    "billing_line1": "7 Side Street",
    "billing_city": BILLING_CITY,
    "billing_postal_code": "46176",
    "billing_country": "US",
    "method": "card",
    "name": "J. Q. Doe",
    "card_number": MASTERCARD,
    "expiry": "12/34",
    "cvc": "123",
    "custom_engraving": ENGRAVING,
    "custom_floor": "17",
    "custom_wrap": "blue",
}
"""What the customer enters on the pay page."""
FIELDS: list[dict[str, Any]] = [
    {"key": "engraving", "label": {"type": "custom", "custom": "Engraving"}, "type": "text"},
    {"key": "floor", "label": {"type": "custom", "custom": "Floor"}, "type": "numeric"},
    {
        "key": "wrap",
        "label": {"type": "custom", "custom": "Gift wrap"},
        "type": "dropdown",
        "dropdown": {
            "options": [{"label": "Red", "value": "red"}, {"label": "Blue", "value": "blue"}]
        },
    },
]
ASKED: dict[str, Any] = {
    "shipping_address_collection": {"allowed_countries": ["US"]},
    "billing_address_collection": "required",
    "phone_number_collection": {"enabled": True},
    "consent_collection": {"terms_of_service": "required"},
    "custom_fields": FIELDS,
    "customer_creation": "always",
    "automatic_tax": {"enabled": True},
    "allow_promotion_codes": True,
    "metadata": {"campaign": "autumn"},
}
"""What the merchant asks for, of sessions and of Payment Links."""


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


async def _offer(world: World) -> Any:
    """Parameters that sell one to five mugs and a course, by post or by courier, and ask all."""
    mug = await world.shop.price(shipment(await world.new_sku()), amount=2000, name="Mug")
    course = await world.shop.price(ACCESS, amount=1000, name="Course")
    adjustable = {"enabled": True, "minimum": 1, "maximum": 5}
    rates = [
        await world.shop.stripe.v1.shipping_rates.create_async(
            {
                "display_name": name,
                "type": "fixed_amount",
                "fixed_amount": {"amount": amount_minor, "currency": "usd"},
            }
        )
        for name, amount_minor in (("Post", 0), ("Courier", 700))
    ]
    return {
        "line_items": [
            {"price": mug, "quantity": 2, "adjustable_quantity": adjustable},
            {"price": course, "quantity": 1},
        ],
        "shipping_options": [{"shipping_rate": rate.id} for rate in rates],
        **ASKED,
    }


async def _promotion_code(world: World) -> str:
    coupon = await world.shop.stripe.v1.coupons.create_async(
        {"percent_off": 10, "duration": "once"}
    )
    code = await world.shop.stripe.v1.promotion_codes.create_async(
        {"promotion": {"type": "coupon", "coupon": coupon.id}}
    )
    return code.code


async def _pay_on_page(world: World, url: str) -> str:
    """Pays three mugs and the course by promotion code and courier; returns the session's ID."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=30) as browser:
        shown = await browser.get(url)
        session_id = shown.url.path.rpartition("/")[2]
        items = await world.shop.stripe.v1.checkout.sessions.line_items.list_async(session_id)
        form = {
            **PAGE,
            f"quantity_{items.data[0].id}": "3",
            "promotion_code": await _promotion_code(world),
            "shipping_option": "1",
        }
        paid = await browser.post(str(shown.url), data=form, follow_redirects=False)
        assert paid.headers.get("Location") == _landing(world, session_id), paid.text
    return session_id


def _landing(world: World, session_id: str = "{CHECKOUT_SESSION_ID}") -> str:
    return f"{world.settings.public_url}/after-checkout?session_id={session_id}"


async def _order(world: World, session_id: str) -> Order:
    """A fulfilled order without any mismatch, the same to operators as in our records."""
    result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    order = await world.order(session_id)
    assert order.mismatch is None
    answer = await world.api.get(f"/orders/{session_id}", headers=BEARER)
    assert Order.model_validate(answer.json()) == order
    return order


async def _assert_all_kept(world: World, order: Order) -> None:
    session = await world.shop.stripe.v1.checkout.sessions.retrieve_async(order.session_id)
    assert order.payment_intent_id == session.payment_intent
    assert order.payment_method == PaymentMethod(type="card", brand="mastercard", last4="4444")
    assert order.payment_method_types == ("card", "us_bank_account")
    assert session.customer is not None
    assert order.customer_id == session.customer
    assert order.customer_email == "jo@example.com"
    assert order.customer_name == "J. Q. Doe"
    assert order.shipping_address == Address(name="Jo Doe", **CUSTOMER_ADDRESS)
    assert order.collected is not None
    assert order.collected.phone == PHONE
    assert order.collected.terms_of_service == "accepted"
    assert order.collected.tax_exempt == "none"
    assert order.collected.billing_address == Address(
        line1="7 Side Street", city=BILLING_CITY, postal_code="46176", country="US"
    )
    assert order.custom_fields == (
        CustomField(key="engraving", label="Engraving", value=ENGRAVING),
        CustomField(key="floor", label="Floor", value="17"),
        CustomField(key="wrap", label="Gift wrap", value="blue"),
    )
    assert order.client_reference_id == "cart-7"
    assert order.metadata == {"campaign": "autumn"}

    assert (order.subtotal, order.discount) == (usd(7000), usd(700))
    assert (order.tax, order.shipping) == (usd(630), usd(700))
    assert order.total == usd(7000 - 700 + 630 + 700)
    mugs, course = order.lines
    assert (mugs.description, mugs.quantity) == ("Mug", 3)
    assert mugs.quantity_offer == QuantityOffer(minimum=1, maximum=5)
    assert (mugs.subtotal, mugs.discount) == (usd(6000), usd(600))
    assert (mugs.tax, mugs.total) == (usd(540), usd(5940))
    assert (course.description, course.quantity) == ("Course", 1)
    assert course.quantity_offer is None
    assert (course.subtotal, course.discount) == (usd(1000), usd(100))
    assert (course.tax, course.total) == (usd(90), usd(990))


async def test_an_order_keeps_all_that_the_pay_page_asked(world: World) -> None:
    async with world.worker():
        parameters: Any = {
            "mode": "payment",
            "success_url": _landing(world),
            "client_reference_id": "cart-7",
            **await _offer(world),
        }
        session = await world.shop.stripe.v1.checkout.sessions.create_async(parameters)
        session_id = await _pay_on_page(world, str(session.url))
        order = await _order(world, session_id)
    await _assert_all_kept(world, order)
    assert (order.mode, order.payment_link_id, order.subscription_id) == ("payment", None, None)
    # Only in our records: Temporal shows its histories to more people.
    history = await world.workflow(session_id).fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    private = (PHONE, ENGRAVING, BILLING_CITY, "7 Side Street", "46176", "J. Q. Doe", '"4444"')
    assert [text for text in (*private, "last4", "mastercard") if text.encode() in stored] == []


async def test_a_purchase_by_payment_link_keeps_the_same(world: World) -> None:
    async with world.worker():
        parameters: Any = {
            "after_completion": {"type": "redirect", "redirect": {"url": _landing(world)}},
            **await _offer(world),
        }
        link = await world.shop.stripe.v1.payment_links.create_async(parameters)
        session_id = await _pay_on_page(world, f"{link.url}?client_reference_id=cart-7")
        order = await _order(world, session_id)
    await _assert_all_kept(world, order)
    assert order.payment_link_id == link.id


async def test_tax_within_the_price_is_kept_and_adds_up(world: World) -> None:
    product = await world.shop.stripe.v1.products.create_async({"name": "Book", "metadata": ACCESS})
    price = await world.shop.stripe.v1.prices.create_async(
        {
            "product": product.id,
            "unit_amount": 1100,
            "currency": "usd",
            "tax_behavior": "inclusive",
        }
    )
    async with world.worker():
        session_id = await world.shop.checkout(price.id, automatic_tax={"enabled": True})
        await world.shop.pay(session_id)
        order = await _order(world, session_id)
    assert (order.subtotal, order.tax, order.total) == (usd(1100), usd(100), usd(1100))
    [line] = order.lines
    assert (line.subtotal, line.tax, line.total) == (usd(1100), usd(100), usd(1100))


async def test_a_coupon_of_the_merchants_own_is_kept(world: World) -> None:
    coupon = await world.shop.stripe.v1.coupons.create_async(
        {"amount_off": 500, "currency": "usd", "duration": "once"}
    )
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, ACCESS, discounts=[{"coupon": coupon.id}])
        order = await _order(world, session_id)
    assert (order.subtotal, order.discount, order.total) == (usd(3998), usd(500), usd(3498))
    assert [line.discount for line in order.lines] == [usd(250), usd(250)]


@pytest.mark.parametrize(
    ("currency", "number", "kept"),
    [
        (
            "eur",
            "AT321904300235473204",
            PaymentMethod(type="sepa_debit", last4="3204"),
        ),
        (
            "usd",
            "000999999991",
            PaymentMethod(type="us_bank_account", brand="STRIPE TEST BANK", last4="9991"),
        ),
    ],
)
async def test_the_account_behind_a_bank_debit_is_kept(
    world: World, currency: str, number: str, kept: PaymentMethod
) -> None:
    async with world.worker():
        session_id = await world.shop.checkout(await world.shop.price(ACCESS, currency=currency))
        await world.shop.pay(session_id, "bank_debit", number=number)
        waiting = await _in_state(world, session_id, OrderState.AWAITING_PAYMENT)
        assert waiting.payment_method == kept
        assert (waiting.payment_status, waiting.mismatch) == ("unpaid", None)
        await world.shop.settle(session_id)
        order = await _order(world, session_id)
    assert order.payment_method == kept
    assert order.payment_status == "paid"


async def test_the_account_behind_a_debit_that_came_back_is_kept(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.checkout(await world.shop.price(ACCESS, currency="eur"))
        await world.shop.pay(session_id, "bank_debit", number="AT321904300235473204")
        await world.shop.fail(session_id)
        order = await _in_state(world, session_id, OrderState.PAYMENT_FAILED)
        await world.result(session_id)
    assert order.payment_method == PaymentMethod(type="sepa_debit", last4="3204")
    assert order.mismatch is None


async def _in_state(world: World, session_id: str, state: OrderState) -> Order:
    async def reached() -> Order | None:
        order = await world.order_or_none(session_id)
        return order if order is not None and order.state is state else None

    return await eventually(reached)


@pytest.mark.parametrize(
    ("method", "trial_days", "kept"),
    [
        ("card", 0, PaymentMethod(type="card", brand="visa", last4="4242")),
        ("card", 14, PaymentMethod(type="card", brand="visa", last4="4242")),
        ("bank_debit", 0, PaymentMethod(type="sepa_debit", last4="3204")),
    ],
)
async def test_a_subscription_is_kept_with_what_pays_it(
    world: World, method: str, trial_days: int, kept: PaymentMethod
) -> None:
    product = await world.shop.stripe.v1.products.create_async(
        {"name": "Course", "metadata": ACCESS}
    )
    price = await world.shop.stripe.v1.prices.create_async(
        {
            "product": product.id,
            "unit_amount": 900,
            "currency": "eur",
            "recurring": {"interval": "month"},
        }
    )
    options: dict[str, Any] = {"mode": "subscription", "shipping_address_collection": None}
    if trial_days:
        options["subscription_data"] = {"trial_period_days": trial_days}
    async with world.worker():
        session_id = await world.shop.checkout(price.id, **options)
        number = {"number": "AT321904300235473204"} if method == "bank_debit" else {}
        await world.shop.pay(session_id, method, **number)
        if method == "bank_debit":
            waiting = await _in_state(world, session_id, OrderState.AWAITING_PAYMENT)
            assert waiting.payment_method == kept
            await world.shop.settle(session_id)
        order = await _order(world, session_id)
    session = await world.shop.stripe.v1.checkout.sessions.retrieve_async(session_id)
    assert session.subscription is not None
    assert order.subscription_id == session.subscription
    assert order.customer_id == session.customer
    assert order.mode == "subscription"
    assert order.payment_method == kept


async def test_a_card_saved_for_later_is_kept(world: World) -> None:
    customer = await world.shop.stripe.v1.customers.create_async({"email": "jo@example.com"})
    async with world.worker():
        session = await world.shop.stripe.v1.checkout.sessions.create_async(
            {
                "mode": "setup",
                "currency": "eur",
                "customer": customer.id,
                "success_url": world.settings.public_url,
            }
        )
        await world.shop.pay(session.id, number=MASTERCARD)
        order = await _order(world, session.id)
    assert order.payment_method == PaymentMethod(type="card", brand="mastercard", last4="4444")
    assert (order.mode, order.customer_id, order.lines) == ("setup", customer.id, ())
    assert await world.mails() == []


async def test_what_was_shown_in_the_customers_own_currency_is_kept(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.checkout(await world.shop.price(ACCESS, amount=2000))
        shown = {"amount": 3150, "currency": "jpy"}
        await world.shop.pay(session_id, presentment=shown)
        order = await _order(world, session_id)
    assert order.total == usd(2000)
    assert order.presentment == Money(amount_minor=3150, currency="jpy")


async def test_a_field_that_was_left_empty_is_kept_without_a_value(world: World) -> None:
    field = {**FIELDS[0], "optional": True}
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, custom_fields=[field])
        order = await _order(world, session_id)
    assert order.custom_fields == (CustomField(key="engraving", label="Engraving", value=None),)


async def test_what_nobody_asked_for_is_kept_as_nothing(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        order = await _order(world, session_id)
    assert order.collected is not None
    assert (order.collected.phone, order.collected.terms_of_service) == (None, None)
    assert (order.custom_fields, order.metadata) == ((), {})
    assert (order.customer_id, order.presentment, order.client_reference_id) == (None, None, None)
    assert (order.tax, order.shipping, order.discount) == (usd(0), usd(0), usd(0))
