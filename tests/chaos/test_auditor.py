"""Each rule of the chaos auditor finds what it is for, in an outside world that is doctored."""

from collections import Counter
from dataclasses import replace

import pytest

from chaos.auditor import Auditor, Verdict
from chaos.merchant import ticket
from chaos.outside import Mail, Outside, Parcel, Sale
from chaos.plan import Kind, Target
from chaos.storm import Happened
from chaos.wares import Story, wares

WARES = wares("http://127.0.0.1:1/fulfill")
PAID, UNPAID, LOST, REFUNDED = "cs_paid", "cs_unpaid", "cs_lost", "cs_refunded"
KEYS = ("CHAOS-000000-000001", "CHAOS-000000-000002")
ARRIVED = 1000.0


def mail(session_id: str, name: str, text: str = "") -> Mail:
    return Mail(f"<{session_id}.{name}@shop>", session_id, name, text, ARRIVED)


def sale(session_id: str, story: Story, ware: str = "access") -> Sale:
    paid = story in {Story.PAID, Story.REFUNDED}
    return Sale(
        session_id=session_id,
        ware=ware,
        quantity=2,
        story=story,
        paid=paid,
        payments=int(paid),
        refunded=story is Story.REFUNDED,
        lost=story is Story.DEBIT_FAILED,
    )


RECEIPT = mail(PAID, "receipt", " ".join((*KEYS, "LP1", ticket("call_1"))))
PARCEL = Parcel(PAID, {"CHAOS-MUG": 2}, "LP1")
GOOD = Outside(
    sales=(
        sale(PAID, Story.PAID, "all of it"),
        sale(UNPAID, Story.ABANDONED, "all of it"),
        sale(LOST, Story.DEBIT_FAILED),
        sale(REFUNDED, Story.REFUNDED),
    ),
    parcels=(PARCEL,),
    mails=(RECEIPT, mail(LOST, "payment_failed"), mail(REFUNDED, "refunded")),
    access={PAID: Counter(course=1)},
    valid_keys=frozenset(KEYS),
    served_files={PAID: 1},
    calls={"call_1": PAID},
    stock_before={"CHAOS-MUG": 10, "CHAOS-BOOK": 10},
    stock_after={"CHAOS-MUG": 8, "CHAOS-BOOK": 10},
)


def audit(outside: Outside, *happened: Happened) -> Verdict:
    return Auditor(WARES, outside, happened).audit()


def found(outside: Outside) -> set[tuple[str, str]]:
    return {(problem.rule, problem.session_id) for problem in audit(outside).problems}


def receipt_without(part: str) -> Outside:
    told = replace(RECEIPT, text=RECEIPT.text.replace(part, ""))
    return replace(GOOD, mails=(told, *GOOD.mails[1:]))


def with_sale(changed: Sale) -> Outside:
    others = tuple(each for each in GOOD.sales if each.session_id != changed.session_id)
    return replace(GOOD, sales=(*others, changed))


def test_where_all_is_right_it_finds_nothing() -> None:
    assert audit(GOOD) == Verdict(problems=(), doubled_mails=0, delivered=1, undelivered=2)


@pytest.mark.parametrize(
    ("lacking", "outside"),
    [
        ("parcel", replace(GOOD, parcels=())),
        ("piece", replace(GOOD, parcels=(replace(PARCEL, pieces={"CHAOS-MUG": 1}),))),
        ("entitlement", replace(GOOD, access={})),
        ("the right entitlement", replace(GOOD, access={PAID: Counter(other=1)})),
        ("file", replace(GOOD, served_files={})),
        ("call of the service", replace(GOOD, calls={})),
        ("receipt", replace(GOOD, mails=GOOD.mails[1:])),
        ("license key", receipt_without(KEYS[0])),
        ("word of the parcel", receipt_without("LP1")),
        ("word of the ticket", receipt_without(ticket("call_1"))),
        ("valid license key", replace(GOOD, valid_keys=frozenset(KEYS[:1]))),
    ],
)
def test_a_paid_order_without_its(lacking: str, outside: Outside) -> None:
    assert found(outside) == {("stranded", PAID)}, lacking


@pytest.mark.parametrize(
    ("more", "outside"),
    [
        ("parcel", replace(GOOD, parcels=(PARCEL, replace(PARCEL, tracking_number="LP1")))),
        (
            "sort of piece",
            replace(GOOD, parcels=(replace(PARCEL, pieces={"CHAOS-MUG": 2, "X": 1}),)),
        ),
        ("entitlement", replace(GOOD, access={PAID: Counter(course=2)})),
        ("file", replace(GOOD, served_files={PAID: 2})),
        (
            "receipt",
            replace(
                GOOD, mails=(*GOOD.mails, replace(RECEIPT, message_id=f"<{PAID}.receipt.2@shop>"))
            ),
        ),
    ],
)
def test_a_paid_order_with_one_more(more: str, outside: Outside) -> None:
    assert found(outside) == {("doubled", PAID)}, more


def test_a_second_call_of_the_service() -> None:
    told = replace(RECEIPT, text=f"{RECEIPT.text} {ticket('call_2')}")
    twice = replace(GOOD, calls={"call_1": PAID, "call_2": PAID}, mails=(told, *GOOD.mails[1:]))
    assert found(twice) == {("doubled", PAID)}


def test_a_license_key_that_two_orders_have() -> None:
    other = mail(REFUNDED, "receipt", KEYS[0])
    assert found(replace(GOOD, mails=(*GOOD.mails, other))) == {("doubled", "")}


@pytest.mark.parametrize(
    ("something", "outside"),
    [
        ("parcel", replace(GOOD, parcels=(PARCEL, replace(PARCEL, session_id=UNPAID)))),
        ("entitlement", replace(GOOD, access={**GOOD.access, UNPAID: Counter(course=1)})),
        ("file", replace(GOOD, served_files={PAID: 1, UNPAID: 1})),
        ("call of the service", replace(GOOD, calls={"call_1": PAID, "call_2": UNPAID})),
        ("receipt", replace(GOOD, mails=(*GOOD.mails, mail(UNPAID, "receipt")))),
        ("mail of a delivery", replace(GOOD, mails=(*GOOD.mails, mail(UNPAID, "delivery")))),
    ],
)
def test_an_unpaid_order_with_a(something: str, outside: Outside) -> None:
    assert found(outside) == {("unpaid", UNPAID)}, something


def test_a_lost_payment_of_which_nobody_told_the_customer() -> None:
    untold = replace(GOOD, mails=tuple(each for each in GOOD.mails if each.session_id != LOST))
    assert found(untold) == {("stranded", LOST)}


def test_access_after_the_money_went_back() -> None:
    kept = replace(GOOD, access={**GOOD.access, REFUNDED: Counter(course=1)})
    assert found(kept) == {("kept", REFUNDED)}


def test_a_session_that_was_paid_twice() -> None:
    assert found(with_sale(replace(GOOD.sales[0], payments=2))) == {("charged", PAID)}


def test_money_that_went_back_though_nobody_sent_it() -> None:
    assert ("charged", PAID) in found(with_sale(replace(GOOD.sales[0], refunded=True)))


def test_stock_that_went_where_no_payment_was() -> None:
    gone = replace(GOOD, stock_after={"CHAOS-MUG": 7, "CHAOS-BOOK": 10})
    assert found(gone) == {("stock", "")}


@pytest.mark.parametrize(
    "outside",
    [
        replace(GOOD, parcels=(PARCEL, replace(PARCEL, session_id="cs_other"))),
        replace(GOOD, mails=(*GOOD.mails, mail("", "", "who are you?"))),
        replace(GOOD, calls={"call_1": PAID, "call_2": "cs_other"}),
    ],
)
def test_something_that_belongs_to_no_session(outside: Outside) -> None:
    assert {rule for rule, _ in found(outside)} == {"stranger"}


def happened(kind: Kind, target: Target, began_at: float, ended_at: float) -> Happened:
    return Happened(kind, target, began_at, ended_at, hits=1)


TWICE = replace(GOOD, mails=(*GOOD.mails, replace(RECEIPT, received_at=ARRIVED + 15)))


@pytest.mark.parametrize(
    "fault",
    [
        happened(Kind.KILL, Target.WORKER_1, ARRIVED + 1, ARRIVED + 5),
        happened(Kind.RESET, Target.MAIL, ARRIVED - 5, ARRIVED + 1),
        happened(Kind.PAUSE, Target.POSTGRES, ARRIVED - 1, ARRIVED + 9),
    ],
)
def test_a_mail_that_came_twice_by_the_window_that_smtp_leaves_open_is_counted_apart(
    fault: Happened,
) -> None:
    verdict = audit(TWICE, fault)
    assert (verdict.problems, verdict.doubled_mails) == ((), 1)


@pytest.mark.parametrize(
    "fault",
    [
        happened(Kind.KILL, Target.CARRIER, ARRIVED, ARRIVED + 5),
        happened(Kind.FAIL, Target.MAIL, ARRIVED, ARRIVED + 5),
        happened(Kind.KILL, Target.WORKER_1, ARRIVED - 60, ARRIVED - 50),
        happened(Kind.KILL, Target.WORKER_1, ARRIVED + 50, ARRIVED + 60),
    ],
)
def test_a_mail_that_came_twice_and_no_fault_explains_it(fault: Happened) -> None:
    verdict = audit(TWICE, fault)
    assert [problem.rule for problem in verdict.problems] == ["mailed twice"]
    assert verdict.doubled_mails == 0
