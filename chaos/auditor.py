"""The auditor: what the outside world may not look like, rule by rule. It asks nobody anything.

| Rule | What it finds |
|---|---|
| `stranded` | a paid order lacks something that was promised, or the customer was not told of it |
| `doubled` | an order has more of something than was promised |
| `unpaid` | an order without a payment has something |
| `kept` | an order whose money went back may still be used |
| `charged` | a session was paid twice, or money went back that nobody sent back |
| `stock` | what is on hand is not what was there less what was paid for |
| `stranger` | something belongs to no session that Stripe knows |
| `mailed twice` | a mail came twice, and no fault explains it |

A mail that comes twice under one Message-ID is counted apart where a fault hit what sends or takes
mails between the two: SMTP has no idempotency key. That is the one window which stays open.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from chaos.merchant import ticket
from chaos.outside import KEY, Mail, Outside, Parcel, Sale
from chaos.plan import Kind, Target
from chaos.storm import Happened
from chaos.wares import FEATURE, Story, Ware

T = TypeVar("T", Parcel, Mail)

RECEIPT = "receipt"
DELIVERY = "delivery"
PAYMENT_FAILED = "payment_failed"
_CUT_KINDS = {Kind.KILL, Kind.PAUSE, Kind.RESTART, Kind.RESET, Kind.FULL_DISK}
_CUT_TARGETS = {Target.WORKER_1, Target.WORKER_2, Target.POSTGRES, Target.MAIL}
"""Who hands a mail over, who takes it, and who records that it was taken."""
WINDOW_S = 2.0
"""From the arrival of a mail until it is recorded, on a busy machine."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with an order; an empty session: with no single one."""

    rule: str
    session_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.session_id or 'all'}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """What the auditor says.

    Attributes:
        problems: What is wrong.
        doubled_mails: Mails that came once more by the one window that SMTP leaves open.
        delivered: How many paid orders were looked at, and not only found without problems.
        undelivered: How many unpaid ones.
    """

    problems: tuple[Problem, ...]
    doubled_mails: int
    delivered: int
    undelivered: int


@dataclass(frozen=True)
class _Has:
    """All that one order has."""

    pieces: Counter[str]
    parcels: Sequence[Parcel]
    access: int
    keys: frozenset[str]
    files: int
    calls: Sequence[str]
    mails: Mapping[str, set[str]]
    """Message-IDs by name."""
    text: str

    @cached_property
    def amounts(self) -> dict[str, int]:
        """How much of each thing."""
        return {
            **{f"pieces of {sku}": count for sku, count in self.pieces.items()},
            "entitlements": self.access,
            "license keys": len(self.keys),
            "files": self.files,
            "calls of the service": len(self.calls),
        }


class Auditor:
    """Audits one run.

    Args:
        wares: What was sold.
        outside: What the outside world holds.
        happened: The faults, which may explain that a mail came twice.
    """

    def __init__(
        self, wares: Mapping[str, Ware], outside: Outside, happened: Sequence[Happened]
    ) -> None:
        self._wares = wares
        self._outside = outside
        self._happened = happened

    def audit(self) -> Verdict:
        """Goes through all rules."""
        paid = [sale for sale in self._outside.sales if sale.paid]
        doubles = list(self._doubled_mails())
        unexplained = [each for each in doubles if not self._is_explained(*each)]
        problems = [
            *self._of_sales(),
            *self._strangers(),
            *self._stock(),
            *self._shared_keys(),
            *(
                Problem("mailed twice", again.session_id, f"{again.name}, and no fault explains it")
                for _, again in unexplained
            ),
        ]
        return Verdict(
            problems=tuple(problems),
            doubled_mails=len(doubles) - len(unexplained),
            delivered=sum(not sale.refunded for sale in paid),
            undelivered=len(self._outside.sales) - len(paid),
        )

    def _of_sales(self) -> Iterator[Problem]:
        parcels = _grouped(self._outside.parcels)
        mails = _grouped(self._outside.mails)
        calls: defaultdict[str, list[str]] = defaultdict(list)
        for call_id, session_id in self._outside.calls.items():
            calls[session_id].append(call_id)
        for sale in self._outside.sales:
            has = self._has(sale, parcels[sale.session_id], mails[sale.session_id], calls)
            for rule, what in self._of_sale(sale, has):
                yield Problem(rule, sale.session_id, f"{sale.story}, {sale.ware}: {what}")

    def _has(
        self,
        sale: Sale,
        parcels: Sequence[Parcel],
        mails: Sequence[Mail],
        calls: Mapping[str, list[str]],
    ) -> _Has:
        text = "\n".join(mail.text for mail in mails)
        pieces: Counter[str] = Counter()
        for parcel in parcels:
            pieces.update(parcel.pieces)
        names: defaultdict[str, set[str]] = defaultdict(set)
        for mail in mails:
            names[mail.name].add(mail.message_id)
        access = self._outside.access.get(sale.session_id, Counter())
        return _Has(
            pieces=pieces,
            parcels=parcels,
            access=access.total(),
            keys=frozenset(KEY.findall(text)),
            files=self._outside.served_files.get(sale.session_id, 0),
            calls=calls.get(sale.session_id, []),
            mails=names,
            text=text,
        )

    def _of_sale(self, sale: Sale, has: _Has) -> Iterator[tuple[str, str]]:
        yield from _payments(sale)
        for name, ids in has.mails.items():
            # What becomes ready later is told of later, in one more mail for what comes together.
            if len(ids) > 1 and name != DELIVERY:
                yield "doubled", f"{len(ids)} different mails {name}"
        if not sale.paid:
            yield from _unpaid(sale, has)
        elif sale.refunded:
            if has.access:
                yield "kept", "the money went back, and it may still be used"
        else:
            yield from self._promised(sale, has)

    def _promised(self, sale: Sale, has: _Has) -> Iterator[tuple[str, str]]:
        promised = _promised(self._wares[sale.ware], sale.quantity)
        for thing in promised.keys() | has.amounts.keys():
            wanted, found = promised.get(thing, 0), has.amounts.get(thing, 0)
            if found != wanted:
                rule = "stranded" if found < wanted else "doubled"
                yield rule, f"{found} {thing}, and {wanted} were promised"
        if not has.mails.get(RECEIPT):
            yield "stranded", "no receipt"
        told = [parcel.tracking_number for parcel in has.parcels]
        told += [ticket(call_id) for call_id in has.calls]
        for each in told:
            if each not in has.text:
                yield "stranded", f"no mail tells of {each}"
        if has.access and FEATURE not in self._outside.access[sale.session_id]:
            yield "stranded", "access to something else than what was bought"
        for key in has.keys - self._outside.valid_keys:
            yield "stranded", f"license key {key} is not valid"

    def _strangers(self) -> Iterator[Problem]:
        known = {sale.session_id for sale in self._outside.sales}
        things = {
            "a parcel": [each.session_id for each in self._outside.parcels],
            "a mail": [each.session_id for each in self._outside.mails],
            "a call of the service": list(self._outside.calls.values()),
        }
        for thing, sessions in things.items():
            for session_id in set(sessions) - known:
                yield Problem("stranger", session_id, f"Stripe does not know whose {thing} is")

    def _stock(self) -> Iterator[Problem]:
        sold: Counter[str] = Counter()
        for sale in self._outside.sales:
            if sale.paid and not sale.refunded:
                for sku in self._wares[sale.ware].skus:
                    sold[sku] += sale.quantity
        for sku, before in self._outside.stock_before.items():
            wanted, found = before - sold[sku], self._outside.stock_after.get(sku, 0)
            if found != wanted:
                yield Problem("stock", "", f"{found} of {sku} on hand, and {wanted} should be")

    def _shared_keys(self) -> Iterator[Problem]:
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for mail in self._outside.mails:
            for key in KEY.findall(mail.text):
                owners[key].add(mail.session_id)
        for key, sessions in owners.items():
            if len(sessions) > 1:
                yield Problem("doubled", "", f"{len(sessions)} orders have license key {key}")

    def _doubled_mails(self) -> Iterator[tuple[Mail, Mail]]:
        """Each mail that came again, and the one before it."""
        last: dict[str, Mail] = {}
        for mail in self._outside.mails:
            if mail.message_id in last:
                yield last[mail.message_id], mail
            last[mail.message_id] = mail

    def _is_explained(self, first: Mail, again: Mail) -> bool:
        """Whether something was cut off between the first one's arrival and its record."""
        return any(
            fault.kind in _CUT_KINDS
            and fault.target in _CUT_TARGETS
            and fault.began_at - WINDOW_S <= first.received_at <= fault.ended_at + WINDOW_S
            and fault.began_at <= again.received_at
            for fault in self._happened
        )


def _promised(ware: Ware, quantity: int) -> dict[str, int]:
    promised = {f"pieces of {sku}": quantity for sku in ware.skus}
    if ware.access:
        promised["entitlements"] = 1
    if ware.keys:
        promised["license keys"] = quantity
    if ware.files:
        promised["files"] = 1
    if ware.calls:
        promised["calls of the service"] = 1
    return promised


def _payments(sale: Sale) -> Iterator[tuple[str, str]]:
    if sale.payments > 1:
        yield "charged", f"{sale.payments} payments"
    if sale.refunded and sale.story is not Story.REFUNDED:
        yield "charged", "the money went back, and nobody has sent it back"


def _unpaid(sale: Sale, has: _Has) -> Iterator[tuple[str, str]]:
    for thing, found in has.amounts.items():
        if found:
            yield "unpaid", f"{found} {thing}"
    for name in has.mails.keys() & {RECEIPT, DELIVERY}:
        yield "unpaid", f"a mail {name}"
    if sale.lost and PAYMENT_FAILED not in has.mails:
        yield "stranded", "nobody told the customer that the payment failed"


def _grouped(things: Sequence[T]) -> Mapping[str, list[T]]:
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for thing in things:
        groups[thing.session_id].append(thing)
    return groups
