"""Stripe's objects with parts missing, null, of other types or new: read, or refused by a name.

The answers are the emulator's, bent on their way. What comes of them is an object of ours or a
`FulfillmentError`, which Temporal retries or an operator sees, and never another exception.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.stripe_api import open_stripe
from adapters.stripe_checkout import StripeCheckout
from adapters.stripe_feed import StripeFeed
from adapters.stripe_refunds import StripeRefunds
from adapters.stripe_reversals import StripeReversals
from adapters.stripe_storefront import StripeStorefront
from domain.catalog import Catalog
from domain.errors import FulfillmentError
from domain.reversals import ReversalObject
from local.ports import free_port
from tests.fuzz.drawn import Bend, bend, bends, draw, drawn
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import API_KEY, World


@dataclass
class Bender:
    """Stands before the emulator, and bends its answers."""

    stripe: httpx.AsyncClient
    bends: list[Bend] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        """Asks the emulator the same, and bends what it says."""
        found = await self.stripe.request(
            request.method,
            f"{request.url.path}?{request.url.query}",
            content=await request.body(),
            headers={
                name: value
                for name, value in request.headers.items()
                if name in {"authorization", "content-type", "stripe-version"}
            },
        )
        data = found.json()
        if found.is_success:
            bend(data, self.bends)
        return Response(json.dumps(data), found.status_code, media_type="application/json")


@dataclass(frozen=True)
class Sold:
    """What is read."""

    session_id: str
    price_id: str
    refunded: str
    """A PaymentIntent; another one is disputed, and warned of."""
    disputed: str
    told_by: dict[ReversalObject, str]


@pytest.fixture
async def sold(world: World) -> Sold:
    price_id = await world.shop.price(ACCESS)
    session_id = await world.shop.checkout(price_id, await world.shop.price(shipment("ANY")))
    await world.shop.pay(session_id)
    refunded = await _intent(world, session_id)
    refund = await world.shop.stripe.v1.refunds.create_async({"payment_intent": refunded})
    disputed = await world.shop.buy(ACCESS)
    warned = await world.shop.control("POST", f"/sessions/{disputed}/fraud_warning")
    opened = await world.shop.control("POST", f"/sessions/{disputed}/dispute")
    return Sold(
        session_id,
        price_id,
        refunded=refunded,
        disputed=await _intent(world, disputed),
        told_by={
            ReversalObject.REFUND: refund.id,
            ReversalObject.CHARGE: str(refund.charge),
            ReversalObject.DISPUTE: opened["dispute"]["id"],
            ReversalObject.FRAUD_WARNING: warned["early_fraud_warning"]["id"],
        },
    )


async def _intent(world: World, session_id: str) -> str:
    session = await world.shop.stripe.v1.checkout.sessions.retrieve_async(session_id)
    return str(session.payment_intent)


@pytest.fixture
async def bender(world: World) -> AsyncIterator[tuple[Bender, str]]:
    port = free_port()
    async with httpx.AsyncClient(base_url=world.settings.stripe_api_base) as stripe:
        bender = Bender(stripe)
        methods = ["GET", "POST"]
        app = Starlette(routes=[Route("/{path:path}", bender.answer, methods=methods)])
        async with serving({port: app}):
            yield bender, f"http://127.0.0.1:{port}"


def _reads(client: Any, sold: Sold) -> list[Callable[[], Awaitable[object]]]:
    since = datetime.now(UTC) - timedelta(days=1)
    reversals, feed = StripeReversals(client), StripeFeed(client)
    return [
        lambda: StripeCheckout(client).retrieve(sold.session_id),
        lambda: StripeRefunds(client).payment_of(sold.session_id, None),
        lambda: StripeStorefront(client, Catalog()).prices([sold.price_id]),
        lambda: reversals.session_of(sold.refunded, None),
        lambda: reversals.of_payment(sold.refunded, None),
        lambda: reversals.of_payment(sold.disputed, None),
        lambda: feed.completed(None, since, None),
        lambda: feed.events(None, since, None, undelivered_only=False),
        *(partial(reversals.payment_of, *told, None) for told in sold.told_by.items()),
        *(
            partial(feed.reversals, kind, None, since, None)
            for kind in sold.told_by
            if kind is not ReversalObject.CHARGE
        ),
    ]


async def test_bent_answers_are_read_or_refused(sold: Sold, bender: tuple[Bender, str]) -> None:
    bending, url = bender
    async with open_stripe(API_KEY, api_base=url) as client:
        reads = _reads(client, sold)
        for read in reads:
            await read()

        async def ask(changes: list[Bend]) -> None:
            bending.bends = changes
            for read in reads:
                await _outcome(read)

        await draw(drawn(40, 3_000), ask, changes=bends)


async def _outcome(read: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(20):
            await read()
    except FulfillmentError:
        pass
