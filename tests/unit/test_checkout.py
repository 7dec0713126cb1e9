"""What follows from a session: the state of its order, and whether its sums add up."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.checkout import (
    CheckoutMode,
    CheckoutSession,
    LineItem,
    Payment,
    PaymentStatus,
    QuantityOffer,
    SessionStatus,
    mismatch_of,
)
from domain.money import Money
from domain.orders import OrderState, next_state


@pytest.mark.parametrize(
    ("current", "payment", "expected"),
    [
        (None, Payment.PENDING, OrderState.AWAITING_PAYMENT),
        (None, Payment.SETTLED, OrderState.FULFILLING),
        (None, Payment.FAILED, OrderState.PAYMENT_FAILED),
        (None, Payment.EXPIRED, OrderState.EXPIRED),
        (OrderState.AWAITING_PAYMENT, Payment.SETTLED, OrderState.FULFILLING),
        (OrderState.AWAITING_PAYMENT, Payment.FAILED, OrderState.PAYMENT_FAILED),
        (OrderState.PAYMENT_FAILED, Payment.SETTLED, OrderState.FULFILLING),
        (OrderState.ACTION_REQUIRED, Payment.SETTLED, OrderState.ACTION_REQUIRED),
        (OrderState.FULFILLING, Payment.SETTLED, OrderState.FULFILLING),
        (OrderState.FULFILLED, Payment.SETTLED, OrderState.FULFILLED),
        (OrderState.FULFILLED, Payment.PENDING, OrderState.FULFILLED),
        (OrderState.FULFILLED, Payment.FAILED, OrderState.FULFILLED),
        (OrderState.UNKNOWN_SESSION, Payment.SETTLED, OrderState.FULFILLING),
        (OrderState.IGNORED, Payment.SETTLED, OrderState.FULFILLING),
    ],
)
def test_next_state(current: OrderState | None, payment: Payment, expected: OrderState) -> None:
    assert next_state(current, payment) is expected


@pytest.mark.parametrize("payment", Payment)
@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (None, OrderState.IGNORED),
        (OrderState.UNKNOWN_SESSION, OrderState.IGNORED),
        (OrderState.IGNORED, OrderState.IGNORED),
        (OrderState.FULFILLED, OrderState.FULFILLED),
    ],
)
def test_what_is_not_ours_is_ignored_unless_it_was_fulfilled(
    current: OrderState | None, payment: Payment, expected: OrderState
) -> None:
    assert next_state(current, payment, foreign=True) is expected


def test_what_waits_for_its_payment_stays_ours_though_its_product_lost_its_description() -> None:
    current = OrderState.AWAITING_PAYMENT
    assert next_state(current, Payment.PENDING, foreign=True) is current
    assert next_state(current, Payment.SETTLED, foreign=True) is OrderState.FULFILLING


@pytest.mark.parametrize("current", [OrderState.FULFILLING, OrderState.ACTION_REQUIRED])
def test_what_is_being_worked_on_goes_on_though_its_product_lost_its_description(
    current: OrderState,
) -> None:
    assert next_state(current, Payment.SETTLED, foreign=True) is current


def _usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


def _session(**changes: Any) -> CheckoutSession:
    """Two of a thing for 10.00, shipping 5.00 with 0.50 of tax."""
    item = LineItem(
        id="li_1", description="A thing", quantity=2, subtotal=_usd(1000), total=_usd(1000)
    )
    session = CheckoutSession(
        id="cs_test_12345678",
        livemode=False,
        created=datetime.now(UTC),
        mode=CheckoutMode.PAYMENT,
        status=SessionStatus.COMPLETE,
        payment_status=PaymentStatus.PAID,
        subtotal=_usd(1000),
        shipping_total=_usd(550),
        total=_usd(1550),
        received=_usd(1550),
        line_items=(item,),
    )
    return session.model_copy(update=changes)


def test_sums_that_add_up_are_no_mismatch() -> None:
    assert mismatch_of(_session()) is None


def test_a_total_that_is_not_the_sum_of_its_lines_is_a_mismatch() -> None:
    mismatch = mismatch_of(_session(total=_usd(1500), received=_usd(1500)))
    assert mismatch is not None
    assert "sum to 1550, the session's total is 1500" in mismatch


def test_less_money_than_the_total_is_a_mismatch() -> None:
    mismatch = mismatch_of(_session(received=_usd(1000)))
    assert mismatch == "1000 were received, the session's total is 1550 (minor units)"


def test_money_in_the_customers_own_currency_is_no_mismatch() -> None:
    assert mismatch_of(_session(received=Money(amount_minor=1400, currency="eur"))) is None


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        (QuantityOffer(minimum=1, maximum=2), False),
        (QuantityOffer(minimum=2), False),
        (QuantityOffer(minimum=3), True),
        (QuantityOffer(maximum=1), True),
        (None, False),
    ],
)
def test_a_quantity_outside_what_was_offered_is_a_mismatch(
    offer: QuantityOffer | None, *, expected: bool
) -> None:
    session = _session()
    item = session.line_items[0].model_copy(update={"quantity_offer": offer})
    mismatch = mismatch_of(session.model_copy(update={"line_items": (item,)}))
    assert (mismatch == "li_1: 2 bought, outside what was offered") is expected
