"""The decision table of `domain.checkout.payment_of`, row by row."""

from datetime import UTC, datetime

import pytest

from domain.checkout import (
    CheckoutMode,
    CheckoutSession,
    Payment,
    PaymentStatus,
    SessionStatus,
    payment_of,
)
from domain.orders import OrderState, next_state

OPEN, COMPLETE, EXPIRED = SessionStatus.OPEN, SessionStatus.COMPLETE, SessionStatus.EXPIRED
PAID, UNPAID, FREE = (
    PaymentStatus.PAID,
    PaymentStatus.UNPAID,
    PaymentStatus.NO_PAYMENT_REQUIRED,
)


@pytest.mark.parametrize("mode", CheckoutMode)
@pytest.mark.parametrize(
    ("status", "payment_status", "failed", "expected"),
    [
        (EXPIRED, UNPAID, False, Payment.EXPIRED),
        (EXPIRED, PAID, False, Payment.EXPIRED),
        (OPEN, UNPAID, False, Payment.PENDING),
        (OPEN, UNPAID, True, Payment.PENDING),
        (OPEN, FREE, False, Payment.PENDING),
        (COMPLETE, PAID, False, Payment.SETTLED),
        (COMPLETE, PAID, True, Payment.SETTLED),
        (COMPLETE, FREE, False, Payment.SETTLED),
        (COMPLETE, UNPAID, True, Payment.FAILED),
        (COMPLETE, UNPAID, False, Payment.PENDING),
    ],
)
def test_payment(
    mode: CheckoutMode,
    status: SessionStatus,
    payment_status: PaymentStatus,
    *,
    failed: bool,
    expected: Payment,
) -> None:
    session = CheckoutSession(
        id="cs_test_12345678",
        livemode=False,
        created=datetime.now(UTC),
        mode=mode,
        status=status,
        payment_status=payment_status,
        payment_failed=failed,
    )
    assert payment_of(session) is expected


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
    ],
)
def test_next_state(current: OrderState | None, payment: Payment, expected: OrderState) -> None:
    assert next_state(current, payment) is expected
