"""docs/decision-table.md says what the code does, for every combination."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from domain.checkout import (
    CheckoutMode,
    CheckoutSession,
    Payment,
    PaymentStatus,
    SessionStatus,
    payment_of,
)

TABLE = Path(__file__).parent.parent.parent / "docs" / "decision-table.md"
COLUMNS = 7


def _rows() -> list[list[str]]:
    """The rows of the first table: what must fit, an example, the payment, the order."""
    lines = TABLE.read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == COLUMNS][2:]


def _fits(cell: str, value: str) -> bool:
    return cell in {"*", value}


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize(
    ("status", "mode", "payment_status"), list(product(SessionStatus, CheckoutMode, PaymentStatus))
)
def test_the_first_row_that_fits_is_what_is_decided(
    status: SessionStatus, mode: CheckoutMode, payment_status: PaymentStatus, *, failed: bool
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
    facts = (status, mode, payment_status, "failed" if failed else "")
    row = next(row for row in _rows() if all(map(_fits, row, facts)))
    assert payment_of(session) is Payment(row[5])


def test_each_row_decides_something() -> None:
    """No row stands behind one that fits all that it fits."""
    decided = set()
    for facts in product(SessionStatus, CheckoutMode, PaymentStatus, ("failed", "")):
        rows = _rows()
        decided.add(next(i for i, row in enumerate(rows) if all(map(_fits, row, facts))))
    assert decided == set(range(len(_rows())))
