"""How soon customers see that an order is fulfilled.

Some look at the page after Checkout, which waits for it. Others have the page of an order open
whose payment took its time: it is told by a server-sent event, and loads what has changed. Both are
timed from the moment that the order's row says it is fulfilled (`orders.closed_at`):
its commit, the end of the workflow, and all of the page's own way come after that, and count.
PostgreSQL and the browsers of this module read the same machine's clock.
"""

import asyncio
import html
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self

import httpx
from sqlalchemy import select

from benchmarks.figures import PageFigures, page_figures_of
from benchmarks.pace import at_rate
from benchmarks.rounds import RATE_PER_S
from benchmarks.service import Service
from database.engine import Database
from database.tables import orders
from domain.orders import OrderState

PATIENCE_S = 60
LOOK_S = 0.1
LISTENS = "data-events"
"""Where a page listens that may still change."""


@dataclass(frozen=True)
class Seen:
    """An order whose end a customer has seen.

    Attributes:
        session_id: Its Checkout Session's.
        seen_at: When all of the page had come that shows it, in seconds since 1970.
    """

    session_id: str
    seen_at: float


class TooEarlyError(Exception):
    """A page was there before its order had ended, so it cannot show the end."""


class Pages:
    """Customers in front of the API.

    Args:
        public_url: Where they find it.
        database: What it records.
        service: Sells.
    """

    def __init__(self, public_url: str, database: Database, service: Service) -> None:
        self._service = service
        self._database = database
        self._http = httpx.AsyncClient(
            base_url=public_url,
            timeout=PATIENCE_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )
        self._numbers = count(1)
        self._delayed: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def measure(self, orders_each: int) -> PageFigures:
        """Measures both at `RATE_PER_S`, with so many orders each."""
        self._delayed = await self._service.sell_delayed(orders_each)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*map(self._awaiting_payment, self._delayed))
        waiting = await at_rate(self._see_after_checkout, orders_each, RATE_PER_S)
        opened = await at_rate(self._see_on_open_page, orders_each, RATE_PER_S)
        return page_figures_of(await self._delays_ms(waiting), await self._delays_ms(opened))

    async def _see_after_checkout(self) -> Seen:
        """Has the next order's webhook sent, and opens its page, as Checkout does.

        Raises:
            TooEarlyError: The page stopped waiting.
        """
        submitted = await self._service.submit()
        page = await self._get(submitted.workflow_id, self._address())
        if LISTENS in page:
            raise TooEarlyError(submitted.workflow_id)
        return Seen(submitted.workflow_id, time.time())

    async def _see_on_open_page(self) -> Seen:
        """Opens the page of an order that awaits its payment, which arrives then."""
        session_id, address = self._delayed.pop(), self._address()
        page = await self._get(session_id, address)
        events, part = (_attribute(page, name) for name in (LISTENS, "data-part"))
        async with self._http.stream("GET", events, headers=address) as stream:
            stream.raise_for_status()
            await self._service.settle(session_id)
            async for line in stream.aiter_lines():
                if line == "event: over":
                    break
        shown = await self._http.get(part, headers=address)
        shown.raise_for_status()
        return Seen(session_id, time.time())

    async def _delays_ms(self, seen: Sequence[Seen]) -> list[float]:
        """How long after the end of each order it was seen."""
        wanted = {each.session_id: each.seen_at for each in seen}
        query = select(orders.c.session_id, orders.c.closed_at).where(
            orders.c.session_id.in_(wanted)
        )
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [(wanted[row.session_id] - row.closed_at.timestamp()) * 1000 for row in rows]

    async def _get(self, session_id: str, address: dict[str, str]) -> str:
        page = await self._http.get(
            "/after-checkout", params={"session_id": session_id}, headers=address
        )
        page.raise_for_status()
        return page.text

    def _address(self) -> dict[str, str]:
        """A customer of their own: one address may not ask for so many pages."""
        number = next(self._numbers)
        return {"X-Forwarded-For": f"198.18.{number // 256}.{number % 256}"}

    async def _awaiting_payment(self, session_id: str) -> None:
        query = select(orders.c.state).where(orders.c.session_id == session_id)
        state = None
        while state != OrderState.AWAITING_PAYMENT:
            await asyncio.sleep(LOOK_S)
            async with self._database.transaction() as connection:
                state = await connection.scalar(query)


def _attribute(page: str, name: str) -> str:
    [value] = re.findall(f'{name}="([^"]+)"', page)
    return html.unescape(value)
