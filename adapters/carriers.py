"""Which adapter speaks for which carrier."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.easypost_carrier import EasyPostCarrier
from adapters.http_carrier import HttpCarrier
from domain.shipping import CarrierChoice


@asynccontextmanager
async def open_carrier(
    choice: CarrierChoice, url: str, api_key: str | None
) -> AsyncIterator[HttpCarrier | EasyPostCarrier]:
    """The carrier that was chosen, for as long as the block.

    Args:
        choice: Which one.
        url: Its address; empty for EasyPost's own.
        api_key: What it asks of us, if anything.
    """
    match choice:
        case CarrierChoice.HTTP:
            async with HttpCarrier(url, api_key) as http:
                yield http
        case CarrierChoice.EASYPOST:
            async with EasyPostCarrier(api_key or "", url) as easypost:
                yield easypost
