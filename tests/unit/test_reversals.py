"""What money that goes back means, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.catalog import Catalog, parse_catalog
from domain.money import Money
from domain.reversals import (
    Cause,
    Decision,
    PaidLine,
    Reversal,
    StripeReversal,
    Target,
    guess_lines,
    is_watched,
    read_lines,
    recorded,
    supersedes,
    target,
)

LINE = PaidLine(id="li_1", quantity=3, total_minor=3000)
OTHER = PaidLine(id="li_2", quantity=1, total_minor=500)
TOTAL = 3500
AT = datetime(2026, 11, 1, tzinfo=UTC)


def reversal(
    cause: Cause,
    *,
    lines: dict[str, int] | None = None,
    status: str = "succeeded",
    counts: bool = True,
    decision: Decision | None = None,
    amount: int | None = 1000,
) -> Reversal:
    return Reversal(
        id="re_1",
        session_id="cs_test_1",
        cause=cause,
        status=status,
        counts=counts,
        amount=None if amount is None else Money(amount_minor=amount, currency="eur"),
        lines=lines,
        decision=decision,
        created_at=AT,
    )


REVOKED = Target(reversed=2)
HELD = Target(held=True)
KEPT = Target()


@pytest.mark.parametrize(
    ("kind", "cause", "aimed"),
    [
        ("access", Cause.REFUND, REVOKED),
        ("access", Cause.INQUIRY, KEPT),
        ("access", Cause.DISPUTE_OPENED, REVOKED),
        ("access", Cause.DISPUTE_LOST, REVOKED),
        ("access", Cause.FRAUD_WARNING, HELD),
        ("license_key", Cause.REFUND, REVOKED),
        ("license_key", Cause.INQUIRY, KEPT),
        ("license_key", Cause.DISPUTE_OPENED, REVOKED),
        ("license_key", Cause.DISPUTE_LOST, REVOKED),
        ("license_key", Cause.FRAUD_WARNING, HELD),
        ("download", Cause.REFUND, REVOKED),
        ("download", Cause.INQUIRY, KEPT),
        ("download", Cause.DISPUTE_OPENED, REVOKED),
        ("download", Cause.DISPUTE_LOST, REVOKED),
        ("download", Cause.FRAUD_WARNING, HELD),
        ("shipment", Cause.REFUND, REVOKED),
        ("shipment", Cause.INQUIRY, HELD),
        ("shipment", Cause.DISPUTE_OPENED, HELD),
        ("shipment", Cause.DISPUTE_LOST, REVOKED),
        ("shipment", Cause.FRAUD_WARNING, HELD),
        ("of_a_third_party", Cause.REFUND, REVOKED),
        ("of_a_third_party", Cause.INQUIRY, HELD),
        ("of_a_third_party", Cause.DISPUTE_OPENED, HELD),
        ("of_a_third_party", Cause.DISPUTE_LOST, REVOKED),
        ("of_a_third_party", Cause.FRAUD_WARNING, HELD),
    ],
)
def test_by_default(kind: str, cause: Cause, aimed: Target) -> None:
    policy = Catalog().reversal_policy(kind)
    assert target(LINE, policy, [reversal(cause, lines={"li_1": 2})], TOTAL) == aimed
    assert target(OTHER, policy, [reversal(cause, lines={"li_1": 2})], TOTAL) == KEPT
    undone = reversal(cause, lines={"li_1": 2}, counts=False)
    assert target(LINE, policy, [undone], TOTAL) == KEPT


@pytest.mark.parametrize(
    ("treatment", "decision", "aimed"),
    [
        ("revoke", None, REVOKED),
        ("keep", None, KEPT),
        ("hold", None, HELD),
        ("review", None, HELD),
        ("review", Decision.REVOKE, REVOKED),
        ("review", Decision.KEEP, KEPT),
        ("revoke", Decision.KEEP, KEPT),
        ("hold", Decision.KEEP, KEPT),
        ("hold", Decision.REVOKE, REVOKED),
    ],
)
def test_the_catalog_and_the_operator_say_otherwise(
    treatment: str, decision: Decision | None, aimed: Target
) -> None:
    catalog = parse_catalog(f'[reversals.access]\nrefund = "{treatment}"')
    found = reversal(Cause.REFUND, lines={"li_1": 2}, decision=decision)
    assert target(LINE, catalog.reversal_policy("access"), [found], TOTAL) == aimed
    # What the entry does not name is as by default.
    lost = reversal(Cause.DISPUTE_LOST, lines={"li_1": 2})
    assert target(LINE, catalog.reversal_policy("access"), [lost], TOTAL) == REVOKED


def test_several_add_up_and_never_to_more_than_was_bought() -> None:
    policy = Catalog().reversal_policy("access")
    found = [reversal(Cause.REFUND, lines={"li_1": 2}) for _ in range(2)]
    assert target(LINE, policy, found[:1], TOTAL) == Target(reversed=2)
    assert target(LINE, policy, found, TOTAL) == Target(reversed=3)


def test_a_part_of_the_money_holds_until_somebody_says_what_it_is_for() -> None:
    policy = Catalog().reversal_policy("access")
    part = reversal(Cause.REFUND, amount=700)
    assert target(LINE, policy, [part], TOTAL) == HELD
    kept = reversal(Cause.REFUND, amount=700, decision=Decision.KEEP)
    assert target(LINE, policy, [kept], TOTAL) == KEPT
    rest = reversal(Cause.REFUND, amount=2800)
    assert target(LINE, policy, [part, rest], TOTAL) == Target(reversed=3)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("li_1=2", {"li_1": 2}),
        ("li_1", {"li_1": 3}),
        (" li_1 = 1 , li_2 ,", {"li_1": 1, "li_2": 1}),
        ("li_1:1, li_1:1", {"li_1": 2}),
    ],
)
def test_metadata_names_pieces(text: str, lines: dict[str, int]) -> None:
    assert read_lines(text, [LINE, OTHER]) == lines


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names no line item"),
        ("li_1=4", "only 3 were bought"),
        ("li_1=2, li_1=2", "only 3 were bought"),
        ("li_9", "no line item li_9"),
        ("li_1=x", "not of the form"),
    ],
)
def test_metadata_that_cannot_be_followed_is_not_guessed_at(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_lines(text, [LINE, OTHER])
    told = StripeReversal(
        id="re_1",
        cause=Cause.REFUND,
        status="succeeded",
        counts=True,
        amount=Money(amount_minor=1000, currency="eur"),
        line_items=text,
        created_at=AT,
    )
    kept = recorded(told, "cs_test_1", [LINE, OTHER], {}, 0)
    assert kept.lines is None
    assert problem in (kept.problem or "")


@pytest.mark.parametrize(
    ("amount", "lines"),
    [
        (1000, {"li_1": 1}),
        (2000, {"li_1": 2}),
        (500, {"li_2": 1}),
        (3500, {"li_1": 3, "li_2": 1}),
        (1500, None),
        (1, None),
    ],
)
def test_an_amount_tells_pieces_where_one_choice_fits(
    amount: int, lines: dict[str, int] | None
) -> None:
    assert guess_lines(amount, [LINE, OTHER]) == lines


def test_an_amount_that_fits_two_line_items_tells_nothing() -> None:
    assert guess_lines(1000, [LINE, PaidLine(id="li_2", quantity=1, total_minor=1000)]) is None


@pytest.mark.parametrize("amount", [333, 334])
def test_a_price_that_does_not_divide_is_rounded_either_way(amount: int) -> None:
    assert guess_lines(amount, [PaidLine(id="li_1", quantity=3, total_minor=1000)]) == {"li_1": 1}


@pytest.mark.parametrize(
    ("new", "old", "replaces"),
    [
        ("succeeded", "pending", True),
        ("failed", "succeeded", True),
        ("pending", "succeeded", False),
        ("succeeded", "failed", False),
        ("pending", "canceled", False),
        ("failed", "failed", True),
    ],
)
def test_what_was_said_earlier_replaces_nothing(new: str, old: str, *, replaces: bool) -> None:
    known = reversal(Cause.REFUND, status=old)
    assert supersedes(reversal(Cause.REFUND, status=new), known) is replaces


@pytest.mark.parametrize(
    ("cause", "status", "days", "watched"),
    [
        (Cause.REFUND, "pending", 100, True),
        (Cause.REFUND, "succeeded", 44, True),
        (Cause.REFUND, "succeeded", 46, False),
        (Cause.REFUND, "failed", 0, False),
        (Cause.DISPUTE_OPENED, "under_review", 179, True),
        (Cause.DISPUTE_OPENED, "under_review", 181, False),
        (Cause.DISPUTE_LOST, "lost", 0, False),
    ],
)
def test_stripe_is_asked_for_as_long_as_it_may_say_more(
    cause: Cause, status: str, days: int, *, watched: bool
) -> None:
    known = reversal(cause, status=status, counts=status != "failed")
    assert is_watched(known, AT + timedelta(days=days)) is watched
