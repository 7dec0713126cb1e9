"""`fulfillment erase`, run as a program: nothing of the customer is left, all books are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Select, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from database.tables import (
    access_log,
    audit,
    emails,
    fulfillments,
    license_activations,
    license_keys,
    line_items,
    messages,
    metadata,
    orders,
    parcels,
    refund_requests,
    service_calls,
    shipments,
    stock_movements,
    tracking_events,
)
from domain.orders import OrderState
from tests.commands.programs import Ended, environment, run_command
from tests.harness.service import PENDING, Answer, MerchantService, call_back, merchant_service
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World

COMMAND = ("erase",)
BOOKS: tuple[Select[Any], ...] = (
    select(
        orders.c.state,
        orders.c.payment_status,
        orders.c.payment_intent_id,
        orders.c.currency,
        orders.c.amount_total_minor,
        orders.c.amount_tax_minor,
        orders.c.shipping_address["country"],
        orders.c.payment_method["type"],
        orders.c.closed_at,
    ),
    select(line_items),
    select(fulfillments.c.line_item_id, fulfillments.c.kind, fulfillments.c.state),
    select(shipments),
    select(
        parcels.c.reference, parcels.c["items"], parcels.c.status, parcels.c.carrier_shipment_id
    ),
    select(stock_movements),
    select(emails.c.name, emails.c.key, emails.c.message_id, emails.c.sent_at),
)
"""What an erasure leaves as it is."""


@dataclass
class Customer:
    """Somebody whose values nobody else has."""

    mark: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def email(self) -> str:
        return f"Ada.{self.mark}@example.com"

    @property
    def phone(self) -> str:
        return f"+1555{int(self.mark, 16) % 10**8:08}"

    @property
    def details(self) -> dict[str, Any]:
        """What the customer enters."""
        return {
            "email": self.email,
            "name": f"Ada {self.mark}",
            "phone": self.phone,
            "address": {
                "line1": f"{self.mark} Street",
                "line2": f"c/o {self.mark}",
                "city": f"{self.mark}ville",
                "state": "IL",
                "postal_code": "62701",
                "country": "US",
            },
            "custom_fields": {"engraving": f"For {self.mark}"},
        }

    @property
    def options(self) -> dict[str, Any]:
        """What the merchant's own shop says and asks."""
        return {
            "client_reference_id": f"user-{self.mark}",
            "metadata": {"newsletter": self.email},
            "customer_creation": "always",
            "phone_number_collection": {"enabled": True},
            "billing_address_collection": "required",
            "custom_fields": [
                {
                    "key": "engraving",
                    "label": {"type": "custom", "custom": "Engraving"},
                    "type": "text",
                }
            ],
        }


@pytest.fixture
async def service() -> AsyncIterator[MerchantService]:
    async with merchant_service() as running:
        yield running


async def buy(world: World, customer: Customer, *metadata: dict[str, str]) -> str:
    prices = [await world.shop.price(each) for each in metadata]
    session_id = await world.shop.checkout(*prices, **customer.options)
    await world.shop.pay(session_id, **customer.details)
    return session_id


async def erase(world: World, folder: Path, *arguments: str) -> Ended:
    variables = {"DATABASE_URL": environment(world.settings)["DATABASE_URL"]}
    return await run_command(
        folder, variables, *COMMAND, "--yes", "--by", "privacy@example.com", *arguments
    )


async def where_is(world: World, value: str) -> dict[str, int]:
    """In which tables, in how many rows, a value stands; in whichever column."""
    found = {}
    async with world.database.transaction() as connection:
        for table in metadata.sorted_tables:
            row = func.lower(text(f'"{table.name}"::text'))
            count = await connection.scalar(
                select(func.count()).select_from(table).where(row.contains(value.lower()))
            )
            if count:
                found[table.name] = count
    return found


async def books(world: World, session_id: str) -> list[list[Any]]:
    async with world.database.transaction() as connection:
        return [
            sorted(
                tuple(row)
                for row in await connection.execute(
                    book.where(book.get_final_froms()[0].c.session_id == session_id)
                )
            )
            for book in BOOKS
        ]


async def leave_traces(world: World, session_id: str, customer: Customer) -> None:
    """What carriers, mail providers, operators and machines may have said since."""
    mark = customer.mark
    key = f"KEY-{uuid4().hex}"
    async with world.database.transaction() as connection:
        [item_id] = await connection.scalars(
            select(fulfillments.c.line_item_id).where(
                fulfillments.c.session_id == session_id, fulfillments.c.kind == "access"
            )
        )
        [reference] = await connection.scalars(
            select(parcels.c.reference).where(parcels.c.session_id == session_id)
        )
        of_item = {"session_id": session_id, "line_item_id": item_id, "kind": "access"}
        for table, values in (
            (fulfillments, {"note": f"Ada {mark} has called"}),
            (emails, {"problem": f"no mailbox {customer.email}"}),
            (parcels, {"label_url": f"https://labels.example.com/{mark}"}),
            (parcels, {"tracking_number": mark, "tracking_url": f"https://example.com/{mark}"}),
        ):
            of_order = table.c.session_id == session_id
            await connection.execute(update(table).where(of_order).values(values))
        for statement in (
            insert(tracking_events).values(
                id=uuid4().hex,
                reference=reference,
                status="delivered",
                message=f"left with {mark}",
                at=func.now(),
            ),
            insert(messages).values(
                id=f"msg_{uuid4().hex}",
                type="entitlement.granted",
                session_id=session_id,
                data={"email": customer.email},
                state="pending",
            ),
            insert(access_log).values(
                **of_item, event="downloaded", subject="a", ip=f"ip-{mark}", user_agent=mark
            ),
            insert(refund_requests).values(
                id=f"rfr_{uuid4().hex}",
                session_id=session_id,
                state="made",
                lines={},
                by="ops",
                note=f"Ada {mark} has called",
            ),
            insert(license_keys)
            .values(key=key, shown=key, pool="app", **of_item, position=1)
            .on_conflict_do_nothing(),
            insert(license_activations).from_select(
                ["key", "instance"],
                select(license_keys.c.key, literal(f"laptop of {mark}")).where(
                    license_keys.c.session_id == session_id
                ),
            ),
        ):
            await connection.execute(statement)


async def test_nothing_of_the_customer_is_left_and_all_books_are(
    world: World, service: MerchantService, tmp_path: Path
) -> None:
    customer = Customer()
    seat = {"type": "text", "value": f"A seat for {customer.mark}"}
    service.answers = [Answer({"status": "fulfilled", "delivered": [seat]})]
    sku = await world.new_sku()
    async with world.worker():
        session_id = await buy(world, customer, ACCESS, shipment(sku), service.metadata)
        await world.result(session_id)
    order = await world.order(session_id)
    customer_id = order.customer_id
    assert customer_id is not None
    await leave_traces(world, session_id, customer)
    assert set(await where_is(world, customer.mark)) == {
        *("orders", "entitlements", "emails", "fulfillments", "service_calls", "parcels"),
        *("tracking_events", "messages", "license_activations", "access_log", "refund_requests"),
    }
    before = await books(world, session_id)

    ended = await erase(world, tmp_path, "--session", session_id)

    assert ended.code == 0, ended.err
    assert "Erased 1 order\n" in ended.out
    assert customer.mark not in ended.out
    for value in (customer.mark, customer_id, customer.phone):
        assert await where_is(world, value) == {}, value
    assert await books(world, session_id) == before
    async with world.database.transaction() as connection:
        erased_at = await connection.scalar(
            select(orders.c.erased_at).where(orders.c.session_id == session_id)
        )
        [act] = await connection.execute(select(audit).where(audit.c.session_id == session_id))
    assert erased_at is not None
    assert (act.act, act.by, act.detail) == ("erased", "privacy@example.com", "found by session")
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 200
    assert customer.mark not in page.text


async def test_a_later_sync_brings_nothing_back(world: World, tmp_path: Path) -> None:
    customer = Customer()
    async with world.worker():
        session_id = await buy(world, customer, ACCESS)
        await world.result(session_id)
        before = await books(world, session_id)
        assert (await erase(world, tmp_path, "--session", session_id)).code == 0
        # Temporal forgets the order, and the event comes again: Stripe is asked anew.
        await world.delete_workflow(session_id)
        await world.fulfillments.trigger(session_id)
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert await where_is(world, customer.mark) == {}
    assert await books(world, session_id) == before


async def test_by_e_mail_it_finds_every_order_and_nobody_elses(
    world: World, tmp_path: Path
) -> None:
    customer, other = Customer(), Customer()
    async with world.worker():
        mine = [await buy(world, customer, ACCESS) for _ in range(2)]
        others = await buy(world, other, ACCESS)
        for session_id in (*mine, others):
            await world.result(session_id)
    dry = await erase(world, tmp_path, "--email", customer.email.upper(), "--dry-run")
    assert all(session_id in dry.out for session_id in mine)
    assert others not in dry.out
    assert "Would erase 2 orders\n" in dry.out
    assert "orders" in await where_is(world, customer.mark)

    ended = await erase(world, tmp_path, "--email", customer.email.upper())
    assert "Erased 2 orders\n" in ended.out
    assert await where_is(world, customer.mark) == {}
    assert (await world.order(others)).customer_email == other.email


async def test_by_customer_it_finds_the_orders_of_a_stripe_customer(
    world: World, tmp_path: Path
) -> None:
    customer = Customer()
    async with world.worker():
        session_id = await buy(world, customer, ACCESS)
        await world.result(session_id)
    customer_id = (await world.order(session_id)).customer_id
    assert customer_id is not None
    assert "Erased 1 order\n" in (await erase(world, tmp_path, "--customer", customer_id)).out
    assert await where_is(world, customer.mark) == {}
    assert "Erased 0 orders\n" in (await erase(world, tmp_path, "--customer", customer_id)).out


async def test_an_open_order_is_refused_and_nothing_is_erased(world: World, tmp_path: Path) -> None:
    customer = Customer()
    async with world.worker():
        done = await buy(world, customer, ACCESS)
        await world.result(done)
        still_open = await buy(world, customer, MANUAL)
        await world.step_in(still_open, "awaiting_operator")
    ended = await erase(world, tmp_path, "--email", customer.email)
    assert ended.code == 1
    assert ended.err.startswith(f"order_open: still being fulfilled: {still_open}; ")
    for session_id in (done, still_open):
        assert (await world.order(session_id)).customer_email == customer.email


async def test_twice_erases_what_came_since_and_tells_it_once(world: World, tmp_path: Path) -> None:
    customer = Customer()
    sku = await world.new_sku()
    async with world.worker():
        session_id = await buy(world, customer, ACCESS, shipment(sku))
        await world.result(session_id)
    await erase(world, tmp_path, "--session", session_id)
    await leave_traces(world, session_id, customer)
    assert await where_is(world, customer.mark) != {}
    await erase(world, tmp_path, "--session", session_id)
    assert await where_is(world, customer.mark) == {}
    async with world.database.transaction() as connection:
        of_order = audit.c.session_id == session_id
        assert await connection.scalar(select(func.count()).where(of_order)) == 1


async def test_a_service_cannot_deliver_to_somebody_who_is_erased(
    world: World, service: MerchantService, tmp_path: Path
) -> None:
    customer = Customer()
    service.answers = [Answer(PENDING)]
    async with world.worker():
        session_id = await buy(world, customer, service.metadata)
        waiting = await world.step_in(session_id, "waiting")
        await world.decide(session_id, "mark_fulfilled", waiting.step, "handed over")
        await world.result(session_id)
    assert (await erase(world, tmp_path, "--session", session_id)).code == 0
    async with world.database.transaction() as connection:
        of_order = service_calls.c.session_id == session_id
        call_id = str(await connection.scalar(select(service_calls.c.id).where(of_order)))
    seat = {"type": "text", "value": f"A seat for {customer.mark}"}
    answer = await call_back(world.api, call_id, {"status": "fulfilled", "delivered": [seat]})
    assert answer.status_code == 410
    assert await where_is(world, customer.mark) == {}
