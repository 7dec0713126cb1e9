"""The table in `domain.reconciliation` says what the code does, for every combination."""

from itertools import product

import pytest

from domain import reconciliation
from domain.checkout import Payment
from domain.orders import OrderState
from domain.reconciliation import action_for

COLUMNS = {Payment.SETTLED: 1, Payment.PENDING: 2, Payment.FAILED: 3, Payment.EXPIRED: 3}
ROWS = {
    state.strip(): [cell.strip() for cell in line.strip("|").split("|")]
    for line in (reconciliation.__doc__ or "").splitlines()
    if line.startswith("|")
    for state in line.strip("|").split("|")[0].split(",")
}


@pytest.mark.parametrize(("state", "payment"), list(product([None, *OrderState], Payment)))
def test_action(state: OrderState | None, payment: Payment) -> None:
    row = ROWS["none" if state is None else str(state)]
    assert action_for(state, payment) == row[COLUMNS[payment]]
