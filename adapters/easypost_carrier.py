"""EasyPost, through its own SDK.

Sources: EasyPost's API documentation, "Shipments", "Addresses", "Errors", and the recorded
answers in its SDK's tests.
"""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar
from weakref import WeakValueDictionary

from easypost.constant import API_BASE, API_VERSION
from easypost.easypost_client import EasyPostClient
from easypost.errors.api.api_error import ApiError
from easypost.errors.api.not_found_error import NotFoundError
from easypost.errors.api.payment_error import PaymentError
from pydantic import BaseModel, ValidationError

from adapters.easypost_answers import (
    SEPARATOR,
    VENDOR,
    OfferedRates,
    PlainAddress,
    Refunded,
    Shipment,
    VerifiedAddress,
    unreadable,
)
from adapters.http_errors import error_for_status
from domain.errors import (
    AddressRefusedError,
    MisconfiguredError,
    PermanentError,
    TransientError,
)
from domain.shipping import BookedShipment, Rate, RateRule, ShipmentRequest, choose_rate

TIMEOUT_S = 10
"""For one answer; the SDK asks up to four times where that changes nothing."""
MOST_CALLS = 10
"""At the same time; the SDK blocks a thread for each, and pools as many connections."""
GRAMS_PER_OUNCE = 28.349523125
VERIFICATION_FAILED = "ADDRESS.VERIFY.FAILURE"

_M = TypeVar("_M", bound=BaseModel)


class EasyPostCarrier:
    """Books parcels at EasyPost, one bought shipment per reference.

    EasyPost has no idempotency keys, and does not hold references unique. It does let a shipment
    be looked up by its reference, and bought only once. So a parcel's shipment is looked up
    before it is made, and the one that is there is bought. When that one is not bought and was
    made of something else, such as an address since corrected, the next is called `reference~2`,
    and so on: no reference is used twice.

    Tries for one parcel within this process take turns, and one that is canceled ends before its
    next call; that call may still take effect. One window stays open: two processes that look a
    parcel up within the same moment both make a shipment, and both buy. It takes a worker that
    Temporal believes dead.

    Args:
        api_key: A test or production key.
        url: Where EasyPost is; empty for the real one.
        timeout_s: How long one answer may take.
    """

    def __init__(self, api_key: str, url: str = "", *, timeout_s: int = TIMEOUT_S) -> None:
        base = f"{url or API_BASE}/{API_VERSION}"
        self._client = EasyPostClient(api_key, api_base=base, timeout=timeout_s)
        # Threads of our own: the loop's are few, and it needs them to resolve names.
        self._threads = ThreadPoolExecutor(MOST_CALLS, thread_name_prefix=VENDOR)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # A call that was given up may go on for as long as its timeout.
        self._threads.shutdown(wait=False)

    async def find(self, reference: str) -> BookedShipment | None:
        """See `activities.ports.Carrier`."""
        last, _ = await self._last(reference)
        return last.booked() if last is not None and last.is_bought else None

    async def quote(self, request: ShipmentRequest) -> tuple[Rate, ...]:
        """See `activities.ports.Carrier`; it makes the shipment that `book` buys."""
        async with self._turn(request.reference):
            return (await self._made(request)).offered

    async def book(self, request: ShipmentRequest, rate: Rate | None) -> BookedShipment:
        """See `activities.ports.Carrier`; without a rate the cheapest is taken."""
        async with self._turn(request.reference):
            shipment = await (self._made(request) if rate is None else self._quoted(rate))
            if shipment.is_bought:
                return shipment.booked()
            # Its rates may have been asked for anew since: then they have other names.
            wanted = RateRule(services=(rate.name,) if rate is not None else ())
            known = [each for each in shipment.offered if rate is not None and each.id == rate.id]
            chosen = choose_rate(known or shipment.offered, wanted)
            return (await self._bought(shipment.id, chosen)).booked()

    async def cancel(self, shipment_id: str) -> bool:
        """See `activities.ports.Carrier`.

        EasyPost cancels a parcel by asking for its label's price back, and decides that later; it
        refuses to ask for one that was scanned.

        Source: EasyPost's page "Refund a Shipment".
        """
        shipments = self._client.shipment
        known = await self._call(Refunded, shipments.retrieve, shipment_id)
        if known.is_refunded:
            return True
        try:
            asked = await self._call(Refunded, shipments.refund, shipment_id)
        except PermanentError:
            return False
        return asked.is_refunded

    def _turn(self, reference: str) -> asyncio.Lock:
        return self._turns.setdefault(reference, asyncio.Lock())

    async def _last(self, reference: str) -> tuple[Shipment | None, str]:
        """The bought shipment of a parcel, or else its last one, and what the next is called."""
        last, name, number = None, reference, 1
        while True:
            try:
                found = await self._call(Shipment, self._client.shipment.retrieve, name)
            except _NotThereError:
                return last, name
            number += 1
            last, name = found, f"{reference}~{number}"
            if found.is_bought:
                return last, name

    async def _bought(self, shipment_id: str, rate: Rate) -> Shipment:
        shipments = self._client.shipment
        rate_id = rate.id.partition(SEPARATOR)[2]
        try:
            return await self._call(Shipment, shipments.buy, shipment_id, rate={"id": rate_id})
        except PermanentError:
            # Perhaps since a try that was given up has bought it in the meantime.
            known = await self._call(Shipment, shipments.retrieve, shipment_id)
            if not known.is_bought:
                raise
            return known

    async def _quoted(self, rate: Rate) -> Shipment:
        shipment_id = rate.id.partition(SEPARATOR)[0]
        return await self._call(Shipment, self._client.shipment.retrieve, shipment_id)

    async def _made(self, request: ShipmentRequest) -> Shipment:
        """The parcel's shipment: the bought one, or one of this request that may be bought."""
        if request.from_address is None:
            raise MisconfiguredError(
                f"{VENDOR}_sender_missing",
                f"{VENDOR} needs the warehouse's address: catalog.toml, [warehouses.*.address]",
            )
        last, name = await self._last(request.reference)
        if last is not None and last.is_bought:
            return last
        to = await self._verified(PlainAddress.made(request.to, request.phone))
        sender = PlainAddress.made(request.from_address, None)
        # Upwards, to the tenth that EasyPost reckons with.
        ounces = math.ceil(request.weight_grams / GRAMS_PER_OUNCE * 10) / 10
        if last is not None and (
            _places(last.to_address, last.from_address) == _places(to, sender)
            and last.parcel.weight == ounces
        ):
            # Rates are good for some days only.
            anew = await self._call(OfferedRates, self._client.shipment.regenerate_rates, last.id)
            return last.model_copy(update={"rates": anew.rates})
        return await self._call(
            Shipment,
            self._client.shipment.create,
            reference=name,
            to_address={"id": to.id},
            from_address=sender.model_dump(exclude_none=True),
            parcel={"weight": ounces},
        )

    async def _verified(self, address: PlainAddress) -> VerifiedAddress:
        """The address as EasyPost spells it.

        Only one that it does not find is refused: verification does not cover every country to
        the house, and the rest is the carrier's to judge.
        """
        known = await self._call(
            VerifiedAddress,
            self._client.address.create,
            verify=True,
            **address.model_dump(exclude_none=True),
        )
        if known.is_unknown:
            raise AddressRefusedError(f"{VENDOR} does not know the address")
        return known

    async def _call(
        self, answer: type[_M], method: Callable[..., Any], *names: str, **parameters: object
    ) -> _M:
        loop = asyncio.get_running_loop()
        try:
            got = await loop.run_in_executor(self._threads, partial(method, *names, **parameters))
            return answer.model_validate(got)
        except ApiError as error:
            raise _translated(error) from error
        except (ValidationError, AttributeError, TypeError) as error:
            # The SDK takes answers apart without looking, and so meets odd ones in odd ways.
            raise unreadable() from error


class _NotThereError(PermanentError):
    """EasyPost has nothing of that name."""


def _places(to: PlainAddress, sender: PlainAddress) -> list[str]:
    # Verification spells in capital letters, and returns nothing as an empty text.
    return [
        (text or "").casefold()
        for place in (to, sender)
        for text in (
            place.name,
            place.street1,
            place.street2,
            place.city,
            place.state,
            place.zip,
            place.country,
        )
    ]


def _translated(error: ApiError) -> PermanentError | TransientError:
    """Our error; EasyPost's sentence stays out, since it may quote the address."""
    code = error.code or type(error).__name__
    if isinstance(error, NotFoundError):
        return _NotThereError(f"{VENDOR}_refused", f"{VENDOR} answered 404: {code}")
    if error.code == VERIFICATION_FAILED:
        return AddressRefusedError(f"{VENDOR} does not know the address")
    if isinstance(error, PaymentError):
        return MisconfiguredError(f"{VENDOR}_unpaid", f"{VENDOR} has no money of ours: {code}")
    if error.http_status is None:
        # No answer at all, none in time, or none that is JSON.
        return TransientError(f"{VENDOR}_unavailable", f"{VENDOR}: {type(error).__name__}")
    return error_for_status(VENDOR, error.http_status, code)
