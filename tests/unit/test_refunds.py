"""What of an order is refunded already, so that nothing is refunded twice."""

from datetime import UTC, datetime

import pytest

from domain.money import Money
from domain.refunds import RefundRequest, RefundState, refunded_pieces
from domain.reversals import Cause, Reversal

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LINES = {"li_1": 2}


def request(state: RefundState, refund_id: str | None = None) -> RefundRequest:
    return RefundRequest(
        id="rfr_1",
        session_id="cs_test_1",
        state=state,
        lines=LINES,
        amount=None,
        reason=None,
        by="ops",
        note="",
        refund_id=refund_id,
        created_at=NOW,
    )


def refund(*, counts: bool) -> Reversal:
    return Reversal(
        id="re_1",
        session_id="cs_test_1",
        cause=Cause.REFUND,
        status="succeeded" if counts else "failed",
        counts=counts,
        amount=Money(amount_minor=100, currency="usd"),
        lines=LINES,
        created_at=NOW,
    )


@pytest.mark.parametrize(
    ("reversals", "requests", "pieces"),
    [
        ([], [request(RefundState.REQUESTED)], LINES),
        # Made at Stripe, whose event has not come yet.
        ([], [request(RefundState.MADE, "re_1")], LINES),
        ([refund(counts=True)], [request(RefundState.MADE, "re_1")], LINES),
        ([refund(counts=False)], [request(RefundState.MADE, "re_1")], {}),
        ([], [request(RefundState.GIVEN_UP)], {}),
        ([refund(counts=True)], [], LINES),
    ],
)
def test_a_piece_counts_once_from_when_it_is_asked_for_until_it_fails(
    reversals: list[Reversal], requests: list[RefundRequest], pieces: dict[str, int]
) -> None:
    assert refunded_pieces(reversals, requests) == pieces
