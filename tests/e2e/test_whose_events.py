"""Whose events start what: of connected accounts, of rotated secrets, in older and thin forms,
from several endpoints, and about sessions that are not ours."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import stripe
from pydantic import SecretStr

from api.app import create_app
from api.events import handled_events
from domain.checkout import ForeignSessions
from domain.orders import FulfillmentState, OrderState
from local.ports import free_port
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, CUSTOMER_ADDRESS, shipment
from tests.harness.world import OPERATOR_TOKEN, WEBHOOK_SECRET, World, eventually
from workflows.contract import FulfillCheckoutInput

CONNECTED = "acct_1ConnectedShop"
UNLISTED = "acct_1SomebodyElses"
ON_CONNECTED: stripe.RequestOptions = {"stripe_account": CONNECTED}
UNKNOWN: dict[str, str] = {}
ALLOWED = {"allowed_countries": ["US"]}


@asynccontextmanager
async def _api(world: World, port: int, *secrets: str, **changes: Any) -> AsyncIterator[World]:
    """The same world, whose API runs on a port of its own with other secrets and settings."""
    url = f"http://127.0.0.1:{port}"
    changed = world.with_settings(
        public_url=url,
        stripe_webhook_secrets=tuple(SecretStr(secret) for secret in secrets),
        **changes,
    )
    async with (
        serving({port: create_app(changed.settings)}),
        httpx.AsyncClient(base_url=url, timeout=30) as api,
    ):
        yield replace(changed, api=api)


@dataclass
class _Endpoint:
    id: str
    secret: str


async def _listen(world: World, port: int, **parameters: Any) -> _Endpoint:
    """Registers a webhook endpoint."""
    wanted: Any = {"url": _webhook(port), "enabled_events": [*handled_events()], **parameters}
    made = await world.shop.stripe.v1.webhook_endpoints.create_async(wanted)
    return _Endpoint(made.id, str(made.secret))


async def _listen_thinly(world: World, port: int, **parameters: Any) -> _Endpoint:
    """Registers an event destination that takes thin events."""
    wanted: Any = {
        "name": "Fulfillment",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": [f"v1.{each}" for each in handled_events()],
        "webhook_endpoint": {"url": _webhook(port)},
        "include": ["webhook_endpoint.signing_secret"],
        **parameters,
    }
    made = await world.shop.stripe.v2.core.event_destinations.create_async(wanted)
    assert made.webhook_endpoint is not None
    return _Endpoint(made.id, str(made.webhook_endpoint.signing_secret))


def _webhook(port: int) -> str:
    return f"http://127.0.0.1:{port}/webhook"


async def _own_endpoint(world: World, **changes: Any) -> str:
    """Changes the endpoint that every world has; returns its ID."""
    endpoints = world.shop.stripe.v1.webhook_endpoints
    [own] = [each for each in (await endpoints.list_async()).data if _delivers_to(world, each.url)]
    update: Any = changes
    await endpoints.update_async(own.id, update)
    return own.id


def _delivers_to(world: World, url: str) -> bool:
    return url == f"{world.settings.public_url}/webhook"


async def _answers(world: World, session_id: str, count: int) -> list[dict[str, Any]]:
    """Waits until so many events about a session are answered; how they were, oldest first."""

    async def answered() -> list[dict[str, Any]] | None:
        about = [each for each in await world.shop.delivered() if each["object"] == session_id]
        done = [each for each in about if each["attempts"] and each["next_attempt_at"] is None]
        return about[::-1] if len(about) == len(done) == count else None

    return [
        {**each, "answer": json.loads(each["attempts"][-1]["response"]["body"])["received"]}
        for each in await eventually(answered)
    ]


async def _assert_delivered_once(world: World, session_id: str, sku: str | None = None) -> None:
    order = await world.order(session_id)
    assert order.state is OrderState.FULFILLED
    assert len(await world.mails()) == 1
    assert len(await world.parcels(session_id)) == (0 if sku is None else 1)
    if sku is not None:
        assert await world.stock(sku) == 99


async def _sell_connected(
    world: World,
    metadata: dict[str, str] = ACCESS,
    *,
    account: str = CONNECTED,
    lines: int = 1,
    recurring: bool = False,
    **options: Any,
) -> str:
    """Checks out as a direct charge on a connected account."""
    on_account: stripe.RequestOptions = {"stripe_account": account}
    price: Any = {
        "currency": "eur" if recurring else "usd",
        "unit_amount": 500,
        "product_data": {"name": "Theirs", "metadata": metadata},
        **({"recurring": {"interval": "month"}} if recurring else {}),
    }
    made = await world.shop.stripe.v1.prices.create_async(price, on_account)
    parameters: Any = {
        "mode": "subscription" if recurring else "payment",
        "line_items": [{"price": made.id, "quantity": 1}] * lines,
        "success_url": "http://127.0.0.1/after",
        **options,
    }
    created = await world.shop.stripe.v1.checkout.sessions.create_async(parameters, on_account)
    return created.id


@asynccontextmanager
async def _platform(
    world: World, *accounts: str, thin: bool = False, worker: bool = True
) -> AsyncIterator[World]:
    """A deployment that takes the events of connected accounts."""
    port = free_port()
    endpoint = (
        await _listen_thinly(world, port, events_from=["@accounts"])
        if thin
        else await _listen(world, port, connect=True)
    )
    async with _api(world, port, endpoint.secret, stripe_connect_accounts=accounts) as platform:
        if not worker:
            yield platform
            return
        async with platform.worker():
            yield platform


async def _input(world: World, session_id: str) -> FulfillCheckoutInput:
    """What a workflow was started with."""
    history = await world.workflow(session_id).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    [request] = await world.client.data_converter.decode(
        started.input.payloads, [FulfillCheckoutInput]
    )
    assert isinstance(request, FulfillCheckoutInput)
    return request


@pytest.mark.parametrize("thin", [False, True])
async def test_a_direct_charge_on_a_connected_account_is_fulfilled_once(
    world: World, *, thin: bool
) -> None:
    sku = await world.new_sku()
    async with _platform(world, CONNECTED, thin=thin) as platform:
        session_id = await _sell_connected(
            world, shipment(sku), shipping_address_collection=ALLOWED
        )
        await world.shop.pay(session_id)
        await platform.result(session_id)
        [told] = await _answers(world, session_id, 1)
        assert told["answer"] == "accepted"
        assert (await _input(world, session_id)).account == CONNECTED
    assert (await world.order(session_id)).account == CONNECTED
    await _assert_delivered_once(world, session_id, sku)


@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("recurring", [False, True])
async def test_what_a_connected_account_refunds_is_taken_back(
    world: World, *, thin: bool, recurring: bool
) -> None:
    async with _platform(world, CONNECTED, thin=thin) as platform:
        session_id = await _sell_connected(world, recurring=recurring)
        await world.shop.pay(session_id)
        assert (await platform.result(session_id)).state is OrderState.FULFILLED
        refund = (await world.shop.control("POST", f"/sessions/{session_id}/refund"))["refund"]

        async def in_state(state: OrderState) -> bool | None:
            return (await world.order(session_id)).state is state or None

        await eventually(lambda: in_state(OrderState.REVERSED))
        await world.shop.control("POST", f"/refunds/{refund['id']}/end", {"succeeded": False})
        await eventually(lambda: in_state(OrderState.FULFILLED))
        # And one that an operator asks for is made on that account.
        answer = await platform.api.post(
            f"/orders/{session_id}/refunds",
            json={"by": "ops"},
            headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
        )
        assert answer.status_code == 202, answer.text
        await eventually(lambda: in_state(OrderState.REVERSED))
    refunds = await world.shop.stripe.v1.refunds.list_async(options=ON_CONNECTED)
    assert [each.status for each in refunds.data] == ["succeeded", "failed"]


async def test_all_that_stripe_is_asked_about_a_connected_account_names_it(world: World) -> None:
    """The calls beyond the first: more line items, and the invoice of a subscription."""
    async with _platform(world, CONNECTED) as platform:
        long = await _sell_connected(world, lines=11)
        await world.shop.pay(long)
        assert (await platform.result(long)).state is OrderState.FULFILLED

        lost = await _sell_connected(
            world, recurring=True, allowed_payment_method_types=["sepa_debit"]
        )
        await world.shop.pay(lost, "bank_debit")
        await world.shop.fail(lost)
        assert (await platform.result(lost)).state is OrderState.PAYMENT_FAILED
    assert len((await world.order(long)).lines) == 11
    [mail, _] = await world.mails()
    assert f"/try-again?session_id={lost}&account={CONNECTED}" in mail["text"]


async def test_a_failed_charge_on_a_connected_account_is_paid_at_the_link_of_its_mail(
    world: World,
) -> None:
    async with _platform(world, CONNECTED) as platform:
        lost = await _sell_connected(world, allowed_payment_method_types=["us_bank_account"])
        await world.shop.pay(lost, "bank_debit")
        await world.shop.fail(lost)
        await platform.result(lost)
        [mail] = await world.mails()
        link = urlsplit(next(word for word in mail["text"].split() if "/try-again?" in word))
        answer = await platform.api.get(f"{link.path}?{link.query}")
        again = answer.headers["Location"].rpartition("/")[2]
        await world.shop.pay(again)
        assert (await platform.result(again)).state is OrderState.FULFILLED
    assert (await world.order(again)).account == CONNECTED


async def test_the_landing_page_of_a_connected_account_needs_no_event(world: World) -> None:
    async with _platform(world, CONNECTED) as platform:
        await world.shop.deliveries("drop")
        session_id = await _sell_connected(world)
        await world.shop.pay(session_id)

        nameless = await platform.api.get("/after-checkout", params={"session_id": session_id})
        assert nameless.status_code == 404
        assert await platform.steps(session_id) == {}

        named = {"session_id": session_id, "account": CONNECTED}
        page = await platform.api.get("/after-checkout", params=named)
        assert ACCESS["access_url"] in page.text
        await platform.result(session_id)
        assert (await _input(world, session_id)).account == CONNECTED

        # Once it is recorded, the order knows its account itself.
        nameless = await platform.api.get("/after-checkout", params={"session_id": session_id})
        assert ACCESS["access_url"] in nameless.text
    await _assert_delivered_once(world, session_id)


async def test_our_own_session_is_not_found_on_a_connected_account(world: World) -> None:
    async with _platform(world, CONNECTED) as platform:
        await world.shop.deliveries("drop")
        session_id = await world.shop.buy(ACCESS)
        named = {"session_id": session_id, "account": CONNECTED}
        page = await platform.api.get("/after-checkout", params=named)
        assert page.status_code == 404
        assert await platform.steps(session_id) == {}


async def test_an_account_that_is_not_listed_is_acknowledged_and_starts_nothing(
    world: World,
) -> None:
    async with _platform(world, CONNECTED) as platform:
        session_id = await _sell_connected(world, account=UNLISTED)
        await world.shop.pay(session_id)
        [told] = await _answers(world, session_id, 1)
        assert told["answer"] == "foreign_account"
        assert told["attempts"][0]["response"]["status"] == 200

        named = {"session_id": session_id, "account": UNLISTED}
        page = await platform.api.get("/after-checkout", params=named)
        assert page.status_code == 404
        assert await platform.steps(session_id) == {}
    assert await world.order_or_none(session_id) is None


async def test_a_star_allows_every_account(world: World) -> None:
    async with _platform(world, "*") as platform:
        for account in (CONNECTED, UNLISTED):
            session_id = await _sell_connected(world, account=account)
            await world.shop.pay(session_id)
            assert (await platform.result(session_id)).state is OrderState.FULFILLED
            assert (await world.order(session_id)).account == account
    assert len(await world.mails()) == 2


@pytest.mark.parametrize("account", ["", "acct_", "cus_123456789", "acct_1é2345678", "acct_1\r\nX"])
async def test_what_is_no_account_id_is_not_found_even_where_every_account_is_allowed(
    world: World, account: str
) -> None:
    async with _platform(world, "*", worker=False) as platform:
        await world.shop.deliveries("drop")
        session_id = await world.shop.buy(ACCESS)
        named = {"session_id": session_id, "account": account}
        page = await platform.api.get("/after-checkout", params=named)
        assert page.status_code == 404
        assert await platform.steps(session_id) == {}


@pytest.mark.parametrize("known", [("old",), ("new",), ("old", "new"), ("new", "old")])
async def test_while_secrets_overlap_whichever_is_configured_will_do(
    world: World, known: tuple[str, ...]
) -> None:
    port = free_port()
    own = await _own_endpoint(world, url=_webhook(port))
    rolled = await world.shop.control(
        "POST", f"/webhook_endpoints/{own}/roll_secret", {"overlap_s": 3600}
    )
    secrets = {"old": WEBHOOK_SECRET, "new": rolled["secret"]}
    async with _api(world, port, *(secrets[name] for name in known)) as rotating:
        async with rotating.worker():
            session_id = await world.shop.buy(ACCESS)
            await rotating.result(session_id)
        [told] = await _answers(world, session_id, 1)
    [attempt] = told["attempts"]
    assert attempt["request_headers"]["Stripe-Signature"].count("v1=") == 2
    await _assert_delivered_once(world, session_id)


async def test_an_order_sold_after_the_overlap_waits_for_the_new_secret(world: World) -> None:
    port = free_port()
    own = await _own_endpoint(world, url=_webhook(port))
    rolled = await world.shop.control(
        "POST", f"/webhook_endpoints/{own}/roll_secret", {"overlap_s": 3600}
    )
    await world.shop.control("POST", "/clock", {"advance_s": 3601})
    async with world.worker():
        async with _api(world, port, WEBHOOK_SECRET):
            session_id = await world.shop.buy(ACCESS)

            async def refused() -> bool | None:
                [told] = [
                    each for each in await world.shop.delivered() if each["object"] == session_id
                ]
                statuses = [each["response"]["status"] for each in told["attempts"]]
                return statuses[0] == 400 if statuses else None

            assert await eventually(refused)
            assert await world.steps(session_id) == {}
        async with _api(world, port, WEBHOOK_SECRET, rolled["secret"]):
            await world.result(session_id)
            [told] = await _answers(world, session_id, 1)
    assert told["answer"] == "accepted"
    await _assert_delivered_once(world, session_id)


async def test_an_order_is_complete_whatever_the_version_of_its_event(world: World) -> None:
    port = free_port()
    await _own_endpoint(world, disabled=True)
    endpoint = await _listen(world, port, api_version="2024-06-20")
    sku = await world.new_sku()
    async with _api(world, port, endpoint.secret) as older, older.worker():
        session_id = await world.shop.buy(shipment(sku))
        await older.result(session_id)
        [told] = await _answers(world, session_id, 1)
    event = json.loads(told["request_body"])
    assert event["api_version"] == "2024-06-20"
    assert event["data"]["object"]["shipping_details"]["name"] == "Jo Doe"
    address = (await world.order(session_id)).shipping_address
    assert address is not None
    assert address.model_dump() == {"name": "Jo Doe", "line2": None, **CUSTOMER_ADDRESS}
    await _assert_delivered_once(world, session_id, sku)


@asynccontextmanager
async def _thin(world: World, *, snapshots: bool = False) -> AsyncIterator[World]:
    """A deployment to which thin events are delivered, and snapshots too if asked for."""
    port = free_port()
    await _own_endpoint(world, **({"url": _webhook(port)} if snapshots else {"disabled": True}))
    destination = await _listen_thinly(world, port)
    async with _api(world, port, WEBHOOK_SECRET, destination.secret) as api, api.worker():
        yield api


async def test_a_thin_event_alone_fulfills_once(world: World) -> None:
    sku = await world.new_sku()
    async with _thin(world) as thin:
        session_id = await world.shop.buy(shipment(sku))
        await thin.result(session_id)
        [told] = await _answers(world, session_id, 1)
    assert told["answer"] == "accepted"
    assert json.loads(told["request_body"])["type"] == "v1.checkout.session.completed"
    assert "data" not in json.loads(told["request_body"])
    await _assert_delivered_once(world, session_id, sku)


async def test_both_forms_of_an_event_fulfill_once(world: World) -> None:
    sku = await world.new_sku()
    async with _thin(world, snapshots=True) as both:
        session_id = await world.shop.buy(shipment(sku))
        await both.result(session_id)
        told = await _answers(world, session_id, 2)
    assert [each["answer"] for each in told] == ["accepted", "accepted"]
    forms = sorted(json.loads(each["request_body"])["object"] for each in told)
    assert forms == ["event", "v2.core.event"]
    await _assert_delivered_once(world, session_id, sku)


async def _debit(world: World, metadata: dict[str, str] = ACCESS) -> str:
    price = await world.shop.price(metadata, currency="eur")
    session_id = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(session_id, "bank_debit")
    return session_id


async def _in_state(world: World, session_id: str, state: OrderState) -> None:
    async def reached() -> bool | None:
        order = await world.order_or_none(session_id)
        return True if order is not None and order.state is state else None

    await eventually(reached)


@pytest.mark.parametrize("snapshots", [False, True])
async def test_thin_events_settle_a_delayed_payment(world: World, *, snapshots: bool) -> None:
    async with _thin(world, snapshots=snapshots) as thin:
        session_id = await _debit(world)
        await _in_state(world, session_id, OrderState.AWAITING_PAYMENT)
        await world.shop.settle(session_id)
        assert (await thin.result(session_id)).state is OrderState.FULFILLED
    await _assert_delivered_once(world, session_id)


async def test_thin_events_tell_of_a_failure_and_of_the_success_after_it(world: World) -> None:
    async with _thin(world) as thin:
        session_id = await _debit(world)
        await world.shop.fail(session_id)
        assert (await thin.result(session_id)).state is OrderState.PAYMENT_FAILED
        await world.shop.settle(session_id)
        await _in_state(world, session_id, OrderState.FULFILLED)
        await thin.result(session_id)
    subjects = sorted(mail["subject"].split(" (")[0] for mail in await world.mails())
    assert subjects == ["Your order is confirmed", "Your payment did not go through"]


async def test_thin_events_tell_of_an_expired_session(world: World) -> None:
    async with _thin(world):
        session_id = await world.shop.checkout(await world.shop.price(ACCESS))
        await world.shop.control("POST", f"/sessions/{session_id}/expire")
        await _in_state(world, session_id, OrderState.EXPIRED)
    assert await world.mails() == []


async def test_two_endpoints_on_one_url_fulfill_once(world: World) -> None:
    port = free_port()
    await _own_endpoint(world, url=_webhook(port))
    second = await _listen(world, port)
    sku = await world.new_sku()
    async with _api(world, port, WEBHOOK_SECRET, second.secret) as api, api.worker():
        session_id = await world.shop.buy(shipment(sku))
        await api.result(session_id)
        told = await _answers(world, session_id, 2)
    assert [each["answer"] for each in told] == ["accepted", "accepted"]
    assert second.id in {each["target"] for each in told}
    await _assert_delivered_once(world, session_id, sku)


async def test_a_session_of_unknown_products_only_is_held_for_an_operator(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(UNKNOWN, UNKNOWN)
        await world.step_in(session_id, "action_required")
        await _in_state(world, session_id, OrderState.ACTION_REQUIRED)
        states = [
            item.state
            for line in (await world.order(session_id)).lines
            for item in line.fulfillments
        ]
    assert states == [FulfillmentState.ACTION_REQUIRED] * 2


def _ignoring(world: World) -> World:
    return world.with_settings(foreign_sessions=ForeignSessions.IGNORE)


async def test_a_foreign_session_that_is_ignored_is_promised_nothing(world: World) -> None:
    async with _ignoring(world).worker():
        session_id = await world.shop.buy(UNKNOWN)
        assert (await world.result(session_id)).state is OrderState.IGNORED
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    assert page.status_code == 200
    _assert_promises_nothing(page.text)
    order = await world.order(session_id)
    assert order.state is OrderState.IGNORED
    assert order.closed_at is not None
    assert [line.fulfillments for line in order.lines] == [()]
    assert await world.mails() == []


def _assert_promises_nothing(page: str) -> None:
    assert "Thank you for your order" in page
    for promise in ("receipt", "preparing", "deliver", "e-mail", "refresh"):
        assert promise not in page


async def test_the_landing_page_may_be_the_first_to_see_a_foreign_session(world: World) -> None:
    await world.shop.deliveries("drop")
    async with _ignoring(world).worker():
        session_id = await world.shop.buy(UNKNOWN)
        page = await world.api.get("/after-checkout", params={"session_id": session_id})
    _assert_promises_nothing(page.text)
    assert (await world.order(session_id)).state is OrderState.IGNORED
    assert await world.mails() == []


async def test_of_a_session_that_is_partly_ours_nothing_is_ignored(world: World) -> None:
    sku = await world.new_sku()
    async with _ignoring(world).worker():
        session_id = await world.shop.buy(shipment(sku), UNKNOWN)
        parked = await world.step_in(session_id, "action_required")

        async def mailed() -> bool | None:
            return True if await world.mails() else None

        await eventually(mailed)
        order = await world.order(session_id)
        assert order.state is OrderState.ACTION_REQUIRED
        [ours, theirs] = [item for line in order.lines for item in line.fulfillments]
        assert ours.state is FulfillmentState.FULFILLED
        assert theirs.state is FulfillmentState.ACTION_REQUIRED
        assert parked.step.startswith(theirs.line_item_id)

        await world.decide(session_id, "skip", parked.step, "sold elsewhere")
        await world.result(session_id)
    await _assert_delivered_once(world, session_id, sku)


@pytest.mark.parametrize("end", ["fail", "settle"])
async def test_the_end_of_a_delayed_foreign_payment_mails_nobody(world: World, end: str) -> None:
    async with _ignoring(world).worker():
        session_id = await _debit(world, UNKNOWN)
        assert (await world.result(session_id)).state is OrderState.IGNORED
        finish: dict[str, Callable[[str], Awaitable[None]]] = {
            "fail": world.shop.fail,
            "settle": world.shop.settle,
        }
        await finish[end](session_id)
        told = await _answers(world, session_id, 2)
        assert [each["answer"] for each in told] == ["accepted", "accepted"]
        assert (await world.result(session_id)).state is OrderState.IGNORED
    assert (await world.order(session_id)).state is OrderState.IGNORED
    assert await world.mails() == []
