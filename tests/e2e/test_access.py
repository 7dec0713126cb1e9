"""Access: seats, for how long, renewed by later orders, revoked; each fulfillment grants once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from activities.access import Access, GrantAccessInput
from activities.messages import Messages
from database.tables import audit, entitlements, messages
from domain.entitlements import Entitlement
from domain.ids import FulfillmentRef
from domain.orders import FulfillmentState, OrderState
from tests.harness.merchant_app import MerchantApp, merchant_app
from tests.harness.world import OPERATOR_TOKEN, World
from workflows.outbox import WorkflowOutbox

BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
URL = "https://learn.example.com/course"


def plan(feature: str, **more: str) -> dict[str, str]:
    """Metadata of a product that grants access."""
    more_keys = {f"access_{key}": value for key, value in more.items()}
    return {
        "fulfillment": "access",
        "access_url": URL,
        "access_feature": feature,
        **more_keys,
    }


@pytest.fixture
def feature() -> str:
    """One of this test's own."""
    return f"feature-{uuid4().hex[:8]}"


@pytest.fixture
async def working(world: World) -> AsyncIterator[World]:
    async with world.worker():
        yield world


async def bought(
    world: World, product: dict[str, str], *, email: str = "jo@example.com", **options: Any
) -> str:
    """Buys and waits until the order is done."""
    session_id = await world.shop.checkout(await world.shop.price(product), **options)
    await world.shop.pay(session_id, email=email)
    result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    return session_id


async def granted(world: World, feature: str) -> list[Entitlement]:
    """All entitlements to a feature, the one that begins first first."""
    wanted = (
        select(entitlements)
        .where(entitlements.c.feature == feature)
        .order_by(entitlements.c.starts_at, entitlements.c.created_at)
    )
    async with world.database.transaction() as connection:
        rows = (await connection.execute(wanted)).all()
    return [Entitlement.model_validate(row, from_attributes=True) for row in rows]


async def ends(world: World, entitlement: Entitlement, at: str) -> None:
    """Moves the end of an entitlement."""
    await world.execute(
        f"UPDATE entitlements SET expires_at = {at} WHERE id = '{entitlement.id}'"  # noqa: S608 - our own ID
    )


def is_chain(chain: Sequence[Entitlement]) -> bool:
    """Whether each begins where the one before it ends."""
    return all(one.expires_at == other.starts_at for one, other in pairwise(chain))


async def test_each_piece_brings_its_seats_and_does_not_end(working: World, feature: str) -> None:
    session_id = await bought(working, plan(feature, seats="5"), quantity=3)
    [entitlement] = await granted(working, feature)
    assert entitlement.quantity == 15
    assert entitlement.expires_at is None
    assert entitlement.session_id == session_id
    [line] = (await working.order(session_id)).lines
    [fulfillment] = line.fulfillments
    [link] = fulfillment.delivered
    assert (link.value, link.expires_at) == (URL, None)


async def test_a_duration_begins_now_and_the_customer_sees_its_end(
    working: World, feature: str
) -> None:
    before = datetime.now(UTC)
    session_id = await bought(working, plan(feature, duration="P1W3D"))
    [entitlement] = await granted(working, feature)
    assert before <= entitlement.starts_at <= datetime.now(UTC)
    assert entitlement.expires_at == entitlement.starts_at + timedelta(days=10)
    [line] = (await working.order(session_id)).lines
    assert line.fulfillments[0].delivered[0].expires_at == entitlement.expires_at


async def test_a_later_order_extends_from_the_present_end_in_calendar_months(
    working: World, feature: str
) -> None:
    monthly = plan(feature, duration="P1M")
    await bought(working, monthly)
    [first] = await granted(working, feature)
    await ends(working, first, "'2048-01-31 12:00+00'")
    await bought(working, monthly)
    await bought(working, monthly)
    _, second, third = await granted(working, feature)
    assert second.starts_at == datetime(2048, 1, 31, 12, tzinfo=UTC)
    assert second.expires_at == third.starts_at == datetime(2048, 2, 29, 12, tzinfo=UTC)
    assert third.expires_at == datetime(2048, 3, 29, 12, tzinfo=UTC)


async def test_renewals_at_the_same_time_each_add_their_whole_duration(
    working: World, feature: str
) -> None:
    price = await working.shop.price(plan(feature, duration="P14D"))
    sessions = [await working.shop.checkout(price) for _ in range(8)]
    await asyncio.gather(*(working.shop.pay(session_id) for session_id in sessions))
    await asyncio.gather(*(working.result(session_id) for session_id in sessions))
    chain = await granted(working, feature)
    assert {entitlement.session_id for entitlement in chain} == set(sessions)
    assert is_chain(chain)
    assert chain[-1].expires_at == chain[0].starts_at + timedelta(days=14 * 8)


async def test_with_add_a_later_order_begins_at_once(working: World, feature: str) -> None:
    product = plan(feature, duration="P14D", renewal="add")
    await bought(working, product)
    await bought(working, product)
    first, second = await granted(working, feature)
    assert first.expires_at is not None
    assert second.starts_at < first.expires_at
    assert second.expires_at == second.starts_at + timedelta(days=14)


async def test_what_has_ended_or_was_revoked_is_not_extended(working: World, feature: str) -> None:
    product = plan(feature, duration="P14D")
    await bought(working, product)
    [lapsed] = await granted(working, feature)
    await ends(working, lapsed, "now() - interval '1 minute'")
    await bought(working, product)
    _, second = await granted(working, feature)
    assert second.starts_at <= datetime.now(UTC)
    await working.api.post(f"/entitlements/{second.id}/revoke", headers=BEARER, json={"by": "me"})
    await bought(working, product)
    assert all(each.starts_at <= datetime.now(UTC) for each in await granted(working, feature))


async def test_another_customer_or_feature_is_not_extended(working: World, feature: str) -> None:
    product = plan(feature, duration="P14D")
    await bought(working, product)
    await bought(working, product, email="kim@example.com")
    await bought(working, plan(f"{feature}-other", duration="P14D"))
    found = [*await granted(working, feature), *await granted(working, f"{feature}-other")]
    assert len(found) == 3
    assert all(each.starts_at <= datetime.now(UTC) for each in found)


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"email": "Jo@Example.com"}, {"email": "jo@example.COM"}),
        (
            {"email": "jo@example.com", "client_reference_id": "user-7"},
            {"email": "jo@other.example", "client_reference_id": "user-7"},
        ),
    ],
    ids=["email", "client_reference_id"],
)
async def test_a_customer_is_known_again(
    working: World, feature: str, first: dict[str, str], later: dict[str, str]
) -> None:
    product = plan(feature, duration="P14D")
    await bought(working, product, **first)
    await bought(working, product, **later)
    chain = await granted(working, feature)
    assert len(chain) == 2
    assert is_chain(chain)


async def test_a_customer_of_stripe_is_known_again_whatever_address_they_type(
    working: World, feature: str
) -> None:
    customer = await working.shop.stripe.v1.customers.create_async({"email": "jo@example.com"})
    product = plan(feature, duration="P14D")
    await bought(working, product, customer=customer.id, client_reference_id="cart-1")
    await bought(working, product, customer=customer.id, client_reference_id="cart-2")
    chain = await granted(working, feature)
    assert [each.customer_id for each in chain] == [customer.id] * 2
    assert is_chain(chain)


async def test_a_second_run_of_the_same_fulfillment_grants_and_tells_nothing(
    world: World, feature: str
) -> None:
    async with merchant_app(world) as app:
        async with app.world.worker():
            session_id = await bought(app.world, plan(feature, duration="P1M"))
        outbox = WorkflowOutbox(world.client, world.settings.temporal_task_queue)
        access = Access(world.database, Messages(outbox, wanted=True))
        [line] = (await world.order(session_id)).lines
        ref = FulfillmentRef(session_id=session_id, line_item_id=line.id, kind="access")
        once = await granted(world, feature)
        await access.grant(
            GrantAccessInput(fulfillment=ref, feature=feature, url=URL, duration="P1M")
        )
        assert await granted(world, feature) == once
        assert len(await told(app, session_id)) == 1


async def told(app: MerchantApp, session_id: str) -> list[str]:
    """The types of the messages about an order."""
    wanted = select(messages.c.type).where(messages.c.session_id == session_id)
    async with app.world.database.transaction() as connection:
        return list(await connection.scalars(wanted.order_by(messages.c.id)))


@pytest.mark.parametrize("duration", ["1 month", "P", "P0D", "PT1H", "P1M1Y", "P10000D", "-P1D"])
async def test_what_is_no_duration_waits_for_an_operator(
    working: World, feature: str, duration: str
) -> None:
    session_id = await working.shop.buy(plan(feature, duration=duration))
    stuck = await working.step_in(session_id, "action_required")
    assert stuck.error is not None
    assert stuck.error.startswith("parameters_invalid: access_duration: ")
    assert await granted(working, feature) == []
    await working.decide(session_id, "skip", stuck.step, "a test")
    result = await working.result(session_id)
    assert result.fulfillments[0].state is FulfillmentState.SKIPPED


async def test_revoking_ends_it_once_and_tells_who_and_why(world: World, feature: str) -> None:
    async with merchant_app(world) as app, app.world.worker():
        session_id = await bought(app.world, plan(feature))
        [entitlement] = await granted(world, feature)
        path = f"/entitlements/{entitlement.id}/revoke"
        answers = [
            await app.world.api.post(path, headers=BEARER, json={"by": by, "note": "charged back"})
            for by in ("kim@example.com", "lee@example.com")
        ]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["revoked_because"] == "charged back"
        message = await app.message_of(session_id)
        await app.ended(message.id)
    assert await told(app, session_id) == ["entitlement.granted", "entitlement.revoked"]
    data = app.told[-1].body["data"]
    assert data["id"] == entitlement.id
    assert data["revoked_at"] is not None
    async with world.database.transaction() as connection:
        rows = await connection.execute(select(audit).where(audit.c.session_id == session_id))
        [act] = rows.all()
    assert (act.act, act.by) == ("entitlement_revoked", "kim@example.com")
    assert act.detail == f"{entitlement.id}: charged back"


async def test_only_operators_revoke_and_only_what_there_is(world: World) -> None:
    unknown = "/entitlements/ent_" + "0" * 32 + "/revoke"
    assert (await world.api.post(unknown, json={"by": "me"})).status_code == 401
    for path in (unknown, "/entitlements/ent_%00/revoke"):
        answer = await world.api.post(path, headers=BEARER, json={"by": "me"})
        assert answer.status_code == 404
    nobody = await world.api.post(unknown, headers=BEARER, json={"by": "", "note": "x"})
    assert nobody.status_code == 422
