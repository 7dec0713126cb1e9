"""A steady stream of customers: what they buy, and how they pay, is drawn from the seed too."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import stripe

from chaos.dice import shuffled_for_ever
from chaos.wares import FREQUENCIES, REFUNDABLE, Story, Ware
from tests.harness.shop import Shop

T = TypeVar("T")

DECLINED_CARD = "4000000000000002"
MOST_PIECES = 3
"""Of one ware, in one purchase."""
THINK_S = (0.2, 3.0)
"""Between the steps of one story."""
TRY_EVERY_S = 0.5
PAGE_TIMEOUT_S = 20.0
_STRIPE_IS_AWAY = (
    stripe.APIConnectionError,
    stripe.APIError,
    stripe.RateLimitError,
    stripe.IdempotencyError,
)
_EUR = "eur"
_DEBIT = "sepa_debit"


@dataclass
class Customers:
    """Who buy.

    Args:
        shop: Where they buy.
        public_url: Where they land.
        wares: What there is, by name.
        dice: Of the seed.

    Attributes:
        paid_at: When each session was paid, as seconds since 1970; when a debit arrived.
        events: The event that told of each session's completion.
    """

    shop: Shop
    public_url: str
    wares: Mapping[str, Ware]
    dice: random.Random
    paid_at: dict[str, float] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    _prices: dict[tuple[str, bool], list[str]] = field(default_factory=dict)

    async def open_shop(self) -> None:
        """Puts everything on sale, for cards and, in euros, for bank debits."""
        for name, ware in self.wares.items():
            for debit in (False, True):
                currency = _EUR if debit else "usd"
                self._prices[name, debit] = [
                    await self.shop.price(dict(each), currency=currency, name=name)
                    for each in ware.products
                ]

    async def buy_until(self, closed: asyncio.Event, every_s: float) -> None:
        """Has customers come until the shop is closed, and goes on until the last one is done."""
        often = [story for story, times in FREQUENCIES.items() for _ in range(times)]
        stories = shuffled_for_ever(self.dice, often)
        names = shuffled_for_ever(self.dice, list(self.wares))
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if closed.is_set():
                    return
                # Each customer's own dice: what happens to one does not change the next.
                dice = random.Random(self.dice.random())  # noqa: S311 - to be repeated
                group.create_task(self._buy(number, next(stories), next(names), dice))
                await asyncio.sleep(every_s)

    async def _buy(self, number: int, story: Story, name: str, dice: random.Random) -> None:
        if story is Story.REFUNDED:
            name = REFUNDABLE
        email = f"customer-{number}@example.com"
        session_id = await self._check_out(story, name, email, dice.randint(1, MOST_PIECES))

        async def think() -> None:
            await asyncio.sleep(dice.uniform(*THINK_S))

        match story:
            case Story.ABANDONED:
                return
            case Story.EXPIRED:
                await self._do(session_id, "expire")
                return
            case Story.DECLINED | Story.SECOND_CARD:
                await self._pay(session_id, email, number=DECLINED_CARD)
                if story is Story.DECLINED:
                    return
                await think()
        debit = story in {Story.DEBIT_PAID, Story.DEBIT_FAILED}
        await self._pay(session_id, email, method="bank_debit" if debit else "card")
        if dice.random() < 0.5:  # noqa: PLR2004 - half of them come back to the shop
            await self.land(session_id)
        if debit:
            await think()
            self.paid_at[session_id] = time.time()
            await self._do(session_id, "settle" if story is Story.DEBIT_PAID else "fail")
        elif story is Story.REFUNDED:
            await think()
            await self._do(session_id, "refund")

    async def _check_out(self, story: Story, name: str, email: str, quantity: int) -> str:
        debit = story in {Story.DEBIT_PAID, Story.DEBIT_FAILED}
        types: dict[str, Any] = {"allowed_payment_method_types": [_DEBIT]} if debit else {}
        return await patiently(
            lambda: self.shop.checkout(
                *self._prices[name, debit],
                quantity=quantity,
                customer_email=email,
                metadata={"ware": name, "quantity": str(quantity), "story": str(story)},
                **types,
            )
        )

    async def _pay(self, session_id: str, email: str, **how: str) -> None:
        async def pay() -> None:
            self.paid_at[session_id] = time.time()
            self.events[session_id] = await self.shop.pay(session_id, email=email, **how)

        with suppress(httpx.HTTPStatusError):  # declined, or paid by a try before
            await patiently(pay)

    async def _do(self, session_id: str, what: str) -> None:
        with suppress(httpx.HTTPStatusError):  # done by a try before
            await patiently(lambda: self.shop.control("POST", f"/sessions/{session_id}/{what}"))

    async def land(self, session_id: str) -> None:
        """Looks at the order's page; what it answers while things break is not judged here."""
        async with httpx.AsyncClient(base_url=self.public_url, trust_env=False) as browser:
            page = {"session_id": session_id}
            try:
                await browser.get("/after-checkout", params=page, timeout=PAGE_TIMEOUT_S)
            except httpx.HTTPError:
                return


async def patiently(act: Callable[[], Awaitable[T]]) -> T:
    """Tries until Stripe, or another stand-in, answers: while it is away, customers wait.

    Raises:
        httpx.HTTPStatusError: It says no.
    """
    while True:
        try:
            return await act()
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:
                raise
        except (httpx.TransportError, *_STRIPE_IS_AWAY):
            # Whether a try that was cut off has done it, Stripe says in the end.
            pass
        await asyncio.sleep(TRY_EVERY_S)
