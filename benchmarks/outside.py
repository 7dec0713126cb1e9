"""The outside systems' own times: how late the stand-ins answer, and what that comes to.

The order needs Stripe, the carrier and the mail server one after the other, so the sum of the
three is the least that any implementation could take from end to end.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Self
from urllib.parse import urlsplit

import aiosmtplib
import httpx

from benchmarks.service import EXPANDED
from settings import Settings

STRIPE_MS = 20
CARRIER_MS = 20
SMTP_MS = 5
OUTSIDE_MS = STRIPE_MS + CARRIER_MS + SMTP_MS
"""What the stand-ins are told to wait per order; their own work comes on top."""
TRIES = 15
REFERENCE = "benchmark-calibration"
"""Begins the references of parcels that belong to no order."""
RECIPIENT = "calibration@example.com"


@dataclass(frozen=True)
class OutsideTimes:
    """How long each call takes with nothing else going on, in milliseconds."""

    stripe_ms: float
    carrier_ms: float
    smtp_ms: float

    @property
    def sum_ms(self) -> float:
        """All three, one after the other."""
        return self.stripe_ms + self.carrier_ms + self.smtp_ms


class Outside:
    """The three stand-ins.

    Args:
        settings: Where they are.
        inbox_url: Where the mail inbox takes orders about itself.
    """

    def __init__(self, settings: Settings, inbox_url: str) -> None:
        self._settings = settings
        self._inbox_url = inbox_url
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def slow_down(self) -> None:
        """Lets them answer as late as the real ones, from now on."""
        stripe = {"path": "^/v1/checkout/sessions/", "method": "GET", "delay_ms": STRIPE_MS}
        await self._post(f"{self._settings.stripe_api_base}/_emulator/faults", stripe)
        await self._post(f"{self._settings.carrier_url}/faults", {"delay_ms": CARRIER_MS})
        await self._post(f"{self._inbox_url}/api/faults", {"delay_ms": SMTP_MS})

    async def measure(self, session_id: str) -> OutsideTimes:
        """Makes the same calls as the product does, with plain clients, one at a time."""
        return OutsideTimes(
            stripe_ms=await _median_ms(lambda _: self._retrieve(session_id)),
            carrier_ms=await _median_ms(self._book),
            smtp_ms=await _median_ms(self._mail),
        )

    async def parcels(self) -> int:
        """How many parcels are booked for orders."""
        booked = await self._http.get(f"{self._settings.carrier_url}/shipments")
        return sum(
            not parcel["reference"].startswith(REFERENCE) for parcel in booked.json()["shipments"]
        )

    async def mails(self) -> int:
        """How many mails have come in for customers."""
        listed = await self._http.get(f"{self._inbox_url}/api/messages")
        return sum(mail["recipients"] != [RECIPIENT] for mail in listed.json()["messages"])

    async def _post(self, url: str, body: dict[str, Any]) -> None:
        (await self._http.post(url, json=body)).raise_for_status()

    async def _retrieve(self, session_id: str) -> None:
        key = self._settings.stripe_api_key.get_secret_value()
        answer = await self._http.get(
            f"{self._settings.stripe_api_base}/v1/checkout/sessions/{session_id}",
            params={"expand[]": EXPANDED},
            headers={"Authorization": f"Bearer {key}"},
        )
        answer.raise_for_status()

    async def _book(self, number: int) -> None:
        reference = f"{REFERENCE}-{number}"
        answer = await self._http.post(
            f"{self._settings.carrier_url}/shipments",
            headers={"Idempotency-Key": reference},
            json={
                "reference": reference,
                "to": {"line1": "1 Main Street", "country": "US"},
                "items": [{"sku": "CALIBRATION", "quantity": 1, "weight_grams": 1}],
            },
        )
        answer.raise_for_status()

    async def _mail(self, _number: int) -> None:
        url = urlsplit(self._settings.smtp_url.get_secret_value())
        async with aiosmtplib.SMTP(hostname=url.hostname, port=url.port) as smtp:
            await smtp.sendmail("shop@example.com", [RECIPIENT], "Subject: calibration\r\n\r\n")


async def _median_ms(call: Callable[[int], Awaitable[None]]) -> float:
    """The median over some calls, the first left out: it connects."""
    took_ms = []
    for number in range(TRIES):
        begun = time.perf_counter()
        await call(number)
        took_ms.append((time.perf_counter() - begun) * 1000)
    return median(took_ms[1:])
