"""Who moves the carrier's parcels, and tells the sender by signed callbacks.

Source: the Standard Webhooks specification; docs/carrier.md has the shape.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from local.carrier.depot import Depot, Scan

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Callbacks:
    """Where the sender wants to hear of its parcels.

    Attributes:
        url: Where to.
        secret: `whsec_…`; signs them.
        pace_s: How many seconds each parcel takes from one scan to the next; None: parcels move
            by hand only.
    """

    url: str
    secret: str
    pace_s: float | None = None


class Courier:
    """Moves parcels, and tells of each move until the sender has taken it."""

    def __init__(self, depot: Depot, callbacks: Callbacks, http: httpx.AsyncClient) -> None:
        self._depot = depot
        self._callbacks = callbacks
        self._webhook = Webhook(callbacks.secret)
        self._http = http

    async def tell(self) -> None:
        """Tells what the sender has not taken yet, in the order in which it happened."""
        for scan in self._depot.untold():
            try:
                answer = await self._post(scan)
            except httpx.HTTPError as error:
                logger.warning("the sender does not hear: %s", type(error).__name__)
                return
            if answer.is_server_error:
                logger.warning("the sender cannot take it now: %s", answer.status_code)
                return
            self._depot.mark_told(scan)

    async def keep_moving(self, pace_s: float) -> None:
        """Moves every parcel on its way, again and again."""
        while True:
            await asyncio.sleep(pace_s)
            for shipment in self._depot.under_way(pace_s):
                self._depot.scan(shipment)
            await self.tell()

    async def _post(self, scan: Scan) -> httpx.Response:
        body = json.dumps({"type": "tracking.updated", "data": scan.told()})
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": scan.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(scan.id, now, body),
        }
        return await self._http.post(self._callbacks.url, content=body, headers=headers)


@asynccontextmanager
async def courier(depot: Depot, callbacks: Callbacks | None) -> AsyncIterator[Courier | None]:
    """One at work; None where nobody wants to hear of parcels."""
    if callbacks is None:
        yield None
        return
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
        made = Courier(depot, callbacks, http)
        if callbacks.pace_s is None:
            yield made
            return
        moving = asyncio.create_task(made.keep_moving(callbacks.pace_s))
        try:
            yield made
        finally:
            moving.cancel()
            with suppress(asyncio.CancelledError):
                await moving
