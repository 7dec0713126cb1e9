"""Hypothesis draws what goes back of orders, and comes again, over the real parts.

Refunds of pieces that succeed, stay pending, or fail later, disputes that are won or lost, parcels
that leave, returns that come, workers that stop, events that get lost. Whatever it draws: what is
delivered equals what is paid for less what was refunded, for each line item, each way and each
piece, and no piece of stock is lost or made.

`make explore` draws anew and many more; `make test` always draws the same few.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from database.tables import downloads, entitlements, license_keys, parcels, returns
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import OPERATOR_TOKEN, World, eventually

T = TypeVar("T")

EXPLORE = "explore"
STOCK = 1_000
BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
KEYS = {"fulfillment": "license_key", "license_key_format": "ACME-XXXXX-XXXXX-XXXXX"}
FILES = {"fulfillment": "download", "download_files": "a.txt", "download_limit": "1"}
BOTH = {**ACCESS, **FILES, "fulfillment": "access,download"}
AMOUNT = 1000
"""What one piece costs, in minor units."""


@dataclass
class Refund:
    """Money back for some pieces of one line item."""

    id: str
    ware: str
    pieces: int
    is_pending: bool
    counts: bool = True


@dataclass(eq=False)
class Sold:
    """A paid order: the pieces of each ware, and what went back."""

    id: str
    payment_intent: str
    pieces: dict[str, int]
    lines: dict[str, str]
    refunds: list[Refund] = field(default_factory=list)
    dispute: str | None = None
    is_lost: bool = False

    @property
    def was_disputed(self) -> bool:
        return self.dispute is not None or self.is_lost

    def refunded(self, ware: str) -> int:
        return sum(each.pieces for each in self.refunds if each.counts and each.ware == ware)

    def kept(self, ware: str) -> int:
        """What is paid for, and to be in the customer's hands."""
        if self.is_lost or (self.dispute is not None and ware != "shipment"):
            return 0
        return self.pieces[ware] - self.refunded(ware)


class Reversals(RuleBasedStateMachine):
    """The model; each rule also acts on the real parts, on the test's own event loop."""

    world: ClassVar[World]
    loop: ClassVar[asyncio.AbstractEventLoop]
    seen: ClassVar[Counter[str]] = Counter()
    """What was drawn, over all examples."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.sold: list[Sold] = []
        self.worker: AsyncExitStack | None = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(90)

    @initialize(
        target=orders,
        carts=st.lists(
            st.dictionaries(
                st.sampled_from(["both", "license_key", "shipment"]),
                st.integers(1, 3),
                min_size=2,
            ),
            min_size=2,
            max_size=2,
        ),
    )
    def sell(self, carts: list[dict[str, int]]) -> MultipleResults[Sold]:
        self.sold = self.do(self._sell(carts))
        return multiple(*self.sold)

    async def _sell(self, carts: list[dict[str, int]]) -> list[Sold]:
        world = self.world
        await world.shop.deliveries("normal")
        self.sku = await world.new_sku(STOCK)
        wares = {"both": BOTH, "license_key": KEYS, "shipment": shipment(self.sku)}
        prices = {
            name: await world.shop.price(metadata, amount=AMOUNT, name=name)
            for name, metadata in wares.items()
        }
        await self._start_worker()
        return [await self._buy(cart, prices) for cart in carts]

    async def _buy(self, cart: dict[str, int], prices: dict[str, str]) -> Sold:
        shop = self.world.shop
        items = [{"price": prices[name], "quantity": pieces} for name, pieces in cart.items()]
        session_id = await shop.checkout(line_items=items)
        await shop.pay(session_id)
        await self.world.result(session_id)
        session = await shop.stripe.v1.checkout.sessions.retrieve_async(session_id)
        lines = (await self.world.order(session_id)).lines
        return Sold(
            session_id,
            str(session.payment_intent),
            cart,
            {line.description: line.id for line in lines},
        )

    # --- money ----------------------------------------------------------------------------

    @rule(
        sold=orders,
        ware=st.sampled_from(["both", "license_key", "shipment"]),
        pieces=st.integers(1, 3),
        pending=st.booleans(),
    )
    def refund(self, sold: Sold, ware: str, pieces: int, pending: bool) -> None:  # noqa: FBT001 - drawn
        left = sold.pieces.get(ware, 0) - (sold.refunded(ware) if ware in sold.pieces else 0)
        if left and not sold.was_disputed:
            pieces = min(pieces, left)
            sold.refunds.append(self.do(self._refund(sold, ware, pieces, pending=pending)))
            self.seen["refund"] += 1

    async def _refund(self, sold: Sold, ware: str, pieces: int, *, pending: bool) -> Refund:
        made = await self.world.shop.control(
            "POST",
            f"/sessions/{sold.id}/refund",
            {
                "amount": pieces * AMOUNT,
                "metadata": {"line_items": f"{sold.lines[ware]}={pieces}"},
                "outcome": "pending" if pending else "succeeded",
            },
        )
        return Refund(made["refund"]["id"], ware, pieces, is_pending=pending)

    @rule(sold=orders, index=st.integers(0, 5), succeeds=st.booleans())
    def end_refund(self, sold: Sold, index: int, succeeds: bool) -> None:  # noqa: FBT001 - drawn
        """A pending one comes to its end, or one that has succeeded comes back from the bank."""
        standing = [each for each in sold.refunds if each.counts]
        each = standing[index % len(standing)] if standing else None
        if each is not None and (each.is_pending or not succeeds):
            path = f"/refunds/{each.id}/end"
            self.do(self.world.shop.control("POST", path, {"succeeded": succeeds}))
            each.is_pending, each.counts = False, succeeds
            self.seen["refund failed"] += not succeeds

    @rule(sold=orders)
    def dispute(self, sold: Sold) -> None:
        if not sold.was_disputed and not any(each.counts for each in sold.refunds):
            path = f"/sessions/{sold.id}/dispute"
            try:
                opened = self.do(self.world.shop.control("POST", path))
            except Exception:  # noqa: BLE001 - a charge is disputed once only
                return
            sold.dispute = opened["dispute"]["id"]
            self.seen["dispute"] += 1

    @rule(sold=orders, won=st.booleans())
    def close_dispute(self, sold: Sold, won: bool) -> None:  # noqa: FBT001 - drawn
        if sold.dispute is not None:
            path = f"/disputes/{sold.dispute}/close"
            self.do(self.world.shop.control("POST", path, {"won": won}))
            sold.dispute, sold.is_lost = None, not won
            self.seen["won" if won else "lost"] += 1

    @rule(sold=orders, won=st.booleans())
    def dispute_to_its_end(self, sold: Sold, won: bool) -> None:  # noqa: FBT001 - drawn
        """A dispute that has all its effects before it is decided."""
        self.dispute(sold)
        self.come_to_rest()
        self.close_dispute(sold, won)

    # --- goods ----------------------------------------------------------------------------

    @rule(sold=orders)
    def hand_over(self, sold: Sold) -> None:
        """The carrier fetches what is booked."""
        self.do(self._hand_over(sold))

    async def _hand_over(self, sold: Sold) -> None:
        for parcel in await self.world.parcels(sold.id):
            if not parcel["canceled"]:
                await self.world.carrier.post(f"/shipments/{parcel['id']}/advance")

    @rule(sold=orders)
    def send_back(self, sold: Sold) -> None:
        """The customer sends back what was asked for by now."""
        self.do(self._send_back(sold))

    @rule(sold=orders)
    def send_a_piece_back(self, sold: Sold) -> None:
        """The customer has the goods, gets money back for a piece, and sends that back."""
        if "shipment" in sold.pieces:
            self.hand_over(sold)
            self.refund(sold, "shipment", 1, pending=False)
            self.come_to_rest()
            self.send_back(sold)

    async def _send_back(self, sold: Sold) -> None:
        path = f"/orders/{sold.id}/returns"
        for each in (await self.world.api.get(path, headers=BEARER)).json():
            if each["state"] == "asked":
                url = f"{path}/{each['id']}/received"
                await self.world.api.post(url, json={"by": "jo"}, headers=BEARER)
                self.seen["sent back"] += 1

    # --- machines -------------------------------------------------------------------------

    @rule(mode=st.sampled_from(["normal", "hold", "drop"]))
    def switch_deliveries(self, mode: str) -> None:
        self.do(self.world.shop.deliveries(mode))

    @precondition(lambda self: self.worker is not None)
    @rule()
    def stop_worker(self) -> None:
        self.do(self._stop_worker())

    @precondition(lambda self: self.worker is None)
    @rule()
    def start_worker(self) -> None:
        self.do(self._start_worker())

    @rule()
    def come_to_rest(self) -> None:
        """All that was begun comes to its end, and is looked at."""
        self.do(self._check())

    async def _start_worker(self) -> None:
        if self.worker is None:
            self.worker = AsyncExitStack()
            await self.worker.enter_async_context(self.world.worker())

    async def _stop_worker(self) -> None:
        if self.worker is not None:
            await self.worker.aclose()
            self.worker = None

    # --- what must hold -------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.sold:
                self.do(self._check())
        finally:
            self.do(self._stop_worker())

    async def _check(self) -> None:
        await self.world.shop.deliveries("normal")
        await self._start_worker()
        await self.world.sweep()
        for sold in self.sold:
            await self._check_order(sold)
        await eventually(self._no_piece_is_lost)

    async def _check_order(self, sold: Sold) -> None:
        wanted = {
            kind: sold.kept(ware)
            for ware in sold.pieces
            for kind in (("access", "download") if ware == "both" else (ware,))
        }

        async def is_so() -> bool | None:
            has = await self._delivered(sold, wanted)
            if sold.dispute is not None and has.get("shipment", 0) < wanted.get("shipment", 0):
                # What is to be sent once more waits for how the dispute ends.
                has["shipment"] = wanted["shipment"]
            return True if has == wanted else None

        try:
            await eventually(is_so, timeout_s=20)
        except TimeoutError:
            has = await self._delivered(sold, wanted)
            pytest.fail(f"{sold}: the customer has {has}, paid for is {wanted}")

    async def _delivered(self, sold: Sold, kinds: dict[str, int]) -> dict[str, int]:
        found = dict.fromkeys(kinds, 0)
        for row in await self._rows(entitlements, sold):
            found["access"] += 0 if row.revoked_at else row.quantity
        for row in await self._rows(license_keys, sold):
            found["license_key"] += row.reversed_at is None
        for row in await self._rows(downloads, sold):
            found["download"] += 0 if row.revoked_at else row.allowed
        for row in await self._rows(parcels, sold):
            if row.status not in {"canceled", "planned"}:
                found["shipment"] += sum(item["quantity"] for item in row.items)
        for row in await self._rows(returns, sold):
            found["shipment"] -= 0 if row.state == "withdrawn" else row.quantity
        return found

    async def _no_piece_is_lost(self) -> bool | None:
        out = 0
        for sold in self.sold:
            for row in await self._rows(parcels, sold):
                if row.status != "canceled":
                    out += sum(item["quantity"] for item in row.items)
            for row in await self._rows(returns, sold):
                out -= row.quantity if row.state == "received" else 0
        return True if await self.world.stock(self.sku) == STOCK - out else None

    async def _rows(self, table: Any, sold: Sold) -> list[Any]:
        async with self.world.database.transaction() as connection:
            rows = await connection.execute(select(table).where(table.c.session_id == sold.id))
            return list(rows.all())


@pytest.mark.timeout(0)
async def test_what_is_delivered_is_what_is_paid_less_what_was_refunded(world: World) -> None:
    folder = world.settings.downloads_folder
    assert folder is not None
    (folder / "a.txt").write_text("a")
    async with world.worker():
        # From here on what Stripe sells is ours.
        await world.sweep()
    Reversals.world = world
    Reversals.loop = asyncio.get_running_loop()
    exploring = settings.get_current_profile_name() == EXPLORE
    how = settings(
        max_examples=300 if exploring else 6,
        stateful_step_count=50 if exploring else 30,
        derandomize=not exploring,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Each step takes real time: what was drawn is told as it is, not made smaller first.
        phases=(Phase.generate,),
        print_blob=True,
    )
    # In a thread of its own, which hands each step to this loop.
    await asyncio.to_thread(run_state_machine_as_test, Reversals, settings=how)
    assert {"refund", "refund failed", "dispute", "won", "lost", "sent back"} <= set(
        Reversals.seen
    ), "what was drawn is too little to show anything"
