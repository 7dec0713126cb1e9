"""Hypothesis draws what happens to orders, in any interleaving, over the real parts.

Payment outcomes, lost, held, doubled and reordered events, landing visits, worker restarts,
deleted workflows and reconciliation. Whatever it draws: nothing is ever delivered unpaid, what
is paid is delivered exactly once, and nothing is stranded.

`make explore` draws anew and many more; `make test` always draws the same few.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.orders import OrderState
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import World, eventually

T = TypeVar("T")

EXPLORE = "explore"
"""Name of the Hypothesis profile that draws anew."""
STOCK = 1_000
RECEIPT = "Your order is confirmed"
FAILED_MAIL = "Your payment did not go through"


class Money(Enum):
    """What has become of a session's payment, as the model knows it."""

    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(eq=False)
class Sold:
    """A Checkout Session and what its customer is owed."""

    id: str
    pieces: int
    reserves: bool
    by_debit: bool
    money: Money = Money.OPEN
    failures: int = 0

    @property
    def email(self) -> str:
        return f"{self.id.lower()[:40]}@example.com"


class Orders(RuleBasedStateMachine):
    """The model; each rule also acts on the real parts, on the test's own event loop."""

    world: ClassVar[World]
    loop: ClassVar[asyncio.AbstractEventLoop]
    ends: ClassVar[Counter[Money]] = Counter()
    """How many sessions ended in which way, over all that was drawn."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.sold: list[Sold] = []
        self.deleted: set[tuple[str, str]] = set()
        self.worker: AsyncExitStack | None = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(90)

    @initialize(
        target=sessions,
        carts=st.lists(
            st.tuples(
                st.sampled_from(["reserved", "shipment", "access"]),
                st.integers(1, 3),
                st.sampled_from(["sepa_debit", "card"]),
            ),
            min_size=3,
            max_size=5,
        ),
    )
    def open_shop(self, carts: list[tuple[str, int, str]]) -> MultipleResults[Sold]:
        self.do(self._open_shop())
        self.sold = [self.do(self._check_out(*cart)) for cart in carts]
        return multiple(*self.sold)

    async def _open_shop(self) -> None:
        world = self.world
        await world.shop.deliveries("normal")
        self.sku = await world.new_sku(STOCK)
        reserved = {**shipment(self.sku), "shipment_reserve": "true"}
        self.prices = {
            "access": await world.shop.price(ACCESS, currency="eur"),
            "shipment": await world.shop.price(shipment(self.sku), currency="eur"),
            "reserved": await world.shop.price(reserved, currency="eur"),
        }
        await self._start_worker()

    # --- customers ------------------------------------------------------------------------

    async def _check_out(self, ware: str, quantity: int, method: str) -> Sold:
        session_id = await self.world.shop.checkout(
            self.prices[ware], quantity=quantity, allowed_payment_method_types=[method]
        )
        return Sold(
            session_id,
            pieces=0 if ware == "access" else quantity,
            reserves=ware == "reserved",
            by_debit=method == "sepa_debit",
        )

    @rule(sold=sessions)
    def begin_to_pay(self, sold: Sold) -> None:
        self._pay(sold)

    def _pay(self, sold: Sold) -> None:
        if sold.money is Money.OPEN:
            method = "bank_debit" if sold.by_debit else "card"
            self.do(self.world.shop.pay(sold.id, method, email=sold.email))
            sold.money = Money.PENDING if sold.by_debit else Money.PAID

    @rule(sold=sessions)
    def let_money_arrive(self, sold: Sold) -> None:
        """The debit succeeds, or a later attempt after it had failed; or it is begun."""
        if sold.money in {Money.PENDING, Money.FAILED}:
            self.do(self.world.shop.settle(sold.id))
            sold.money = Money.PAID
        else:
            self._pay(sold)

    @rule(sold=sessions)
    def let_money_fail(self, sold: Sold) -> None:
        """The debit comes back, or nobody pays at all."""
        if sold.money is Money.PENDING:
            self.do(self.world.shop.fail(sold.id))
            sold.money = Money.FAILED
            sold.failures += 1
        elif sold.money is Money.OPEN:
            self.do(self.world.shop.control("POST", f"/sessions/{sold.id}/expire"))
            sold.money = Money.EXPIRED

    @rule(sold=sessions)
    def land(self, sold: Sold) -> None:
        page = self.do(self.world.api.get("/after-checkout", params={"session_id": sold.id}))
        # Without a worker, and before anything is recorded, it says to look again.
        assert page.status_code in ({200} if self.worker else {200, 503})
        if sold.money is not Money.PAID:
            assert ACCESS["access_url"] not in page.text

    # --- events ---------------------------------------------------------------------------

    @rule(mode=st.sampled_from(["normal", "hold", "drop"]))
    def switch_deliveries(self, mode: str) -> None:
        self.do(self.world.shop.deliveries(mode))

    @rule()
    def release_newest_first(self) -> None:
        order = {"mode": "normal", "order": "newest_first"}
        self.do(self.world.shop.control("POST", "/deliveries", order))

    @rule(sold=sessions, how=st.sampled_from(["resend", "duplicate"]))
    def repeat_events(self, sold: Sold, how: str) -> None:
        self.do(self._repeat_events(sold, how))

    async def _repeat_events(self, sold: Sold, how: str) -> None:
        events = await self.world.shop.stripe.v1.events.list_async(
            {"type": "checkout.session.*", "limit": 100}
        )
        for event in events.data:
            if event.data.object["id"] == sold.id:
                await self.world.shop.control("POST", f"/events/{event.id}/{how}")

    # --- machines -------------------------------------------------------------------------

    @precondition(lambda self: self.worker is not None)
    @rule()
    def stop_worker(self) -> None:
        self.do(self._stop_worker())

    @precondition(lambda self: self.worker is None)
    @rule()
    def start_worker(self) -> None:
        self.do(self._start_worker())

    @rule(sold=sessions)
    def delete_workflow(self, sold: Sold) -> None:
        """As after its retention, or by hand: also one that still runs."""
        self.do(self._delete_workflow(sold.id))

    @precondition(lambda self: self.worker is not None)
    @rule()
    def reconcile(self) -> None:
        self.do(self.world.sweep())

    async def _start_worker(self) -> None:
        self.worker = AsyncExitStack()
        await self.worker.enter_async_context(self.world.worker())

    async def _stop_worker(self) -> None:
        if self.worker is not None:
            await self.worker.aclose()
            self.worker = None

    async def _delete_workflow(self, session_id: str) -> None:
        try:
            run_id = await self.world.ask_to_delete_workflow(session_id)
        except RPCError:
            return
        self.deleted.add((session_id, run_id))

    # --- what must hold -------------------------------------------------------------------

    @invariant()
    def nothing_is_delivered_unpaid(self) -> None:
        unpaid = {sold.id for sold in self.sold if sold.money is not Money.PAID}
        if unpaid:
            assert not unpaid & set(self.do(self._delivered()))

    async def _delivered(self) -> list[str]:
        """The session of every parcel and every entitlement."""
        parcels = (await self.world.carrier.get("/shipments")).json()["shipments"]
        async with self.world.database.transaction() as connection:
            granted = await connection.exec_driver_sql("SELECT session_id FROM entitlements")
            sessions = [row.session_id for row in granted]
        return [parcel["reference"].split(":")[0] for parcel in parcels] + sessions

    def teardown(self) -> None:
        if self.sold:
            self.do(self._settle_and_check())

    async def _settle_and_check(self) -> None:
        """Lets everything that was begun come to its end, then looks at the outside world."""
        world = self.world
        try:
            await world.shop.deliveries("normal")
            if self.worker is None:
                await self._start_worker()
            for session_id, run_id in self.deleted:
                await world.wait_deleted(session_id, run_id)
            await self._let_rest()
            await world.sweep()
            for sold in self.sold:
                await self._check_end(sold)
            await self._check_mails()
            await self._check_stock()
        finally:
            await self._stop_worker()

    async def _let_rest(self) -> None:
        """As if an hour passed: a sweep then looks after orders that do not move."""
        for sold in self.sold:
            await self.world.let_rest(sold.id)

    async def _check_end(self, sold: Sold) -> None:
        async def ended() -> bool | None:
            order = await self.world.order_or_none(sold.id)
            return True if (order.state if order else None) in _ENDS[sold.money] else None

        try:
            await eventually(ended, timeout_s=20)
        except TimeoutError:
            order = await self.world.order_or_none(sold.id)
            pytest.fail(f"{sold}: the order is {order.state if order else 'not recorded'}")
        self.ends[sold.money] += 1
        delivered = (await self._delivered()).count(sold.id)
        assert delivered == (1 if sold.money is Money.PAID else 0)
        if sold.money is Money.PENDING:
            status = (await self.world.workflow(sold.id).describe()).status
            assert status is WorkflowExecutionStatus.RUNNING, f"{sold} waits without a workflow"

    async def _check_mails(self) -> None:
        # An order is closed after its receipt, yet a failure's mail follows its record.
        deleted = {session_id for session_id, _ in self.deleted}
        awaiting_news = [
            sold for sold in self.sold if sold.money is Money.FAILED and sold.id not in deleted
        ]

        async def told() -> bool | None:
            mails = await self._mails()
            return all(FAILED_MAIL in mails.get(each.email, []) for each in awaiting_news) or None

        await eventually(told, timeout_s=20)
        mails = await self._mails()
        for sold in self.sold:
            mine = mails.get(sold.email, [])
            assert mine.count(RECEIPT) == (1 if sold.money is Money.PAID else 0)
            assert mine.count(FAILED_MAIL) <= min(sold.failures, 1)
            assert set(mine) <= {RECEIPT, FAILED_MAIL}

    async def _mails(self) -> dict[str, list[str]]:
        """Subjects of all mails, by recipient."""
        listed = (await self.world.inbox.get("/api/messages")).json()["messages"]
        found: dict[str, list[str]] = {}
        for mail in listed:
            for recipient in mail["recipients"]:
                found.setdefault(recipient, []).append(mail["subject"].split(" (")[0])
        return found

    async def _check_stock(self) -> None:
        shipped = sum(sold.pieces for sold in self.sold if sold.money is Money.PAID)
        held = sum(
            sold.pieces for sold in self.sold if sold.money is Money.PENDING and sold.reserves
        )
        assert await self.world.stock(self.sku) == STOCK - shipped - held


_ENDS: dict[Money, set[OrderState | None]] = {
    # An abandoned or expired session of which no event told leaves no order.
    Money.OPEN: {None},
    Money.EXPIRED: {None, OrderState.EXPIRED},
    Money.PENDING: {OrderState.AWAITING_PAYMENT},
    Money.FAILED: {OrderState.PAYMENT_FAILED},
    Money.PAID: {OrderState.FULFILLED},
}


@pytest.mark.timeout(0)
async def test_orders_come_out_right_whatever_happens_in_whatever_order(world: World) -> None:
    async with world.worker():
        # From here on what Stripe sells is ours.
        await world.sweep()
    Orders.world = world
    Orders.loop = asyncio.get_running_loop()
    exploring = settings.get_current_profile_name() == EXPLORE
    how = settings(
        max_examples=500 if exploring else 10,
        stateful_step_count=40 if exploring else 25,
        derandomize=not exploring,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Each step takes real time: what was drawn is told as it is, not made smaller first.
        phases=(Phase.generate,),
        print_blob=True,
    )
    # In a thread of its own, which hands each step to this loop.
    await asyncio.to_thread(run_state_machine_as_test, Orders, settings=how)
    assert set(Orders.ends) == set(Money), "what was drawn is too little to show anything"
