"""Which adapter speaks for which carrier."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from adapters import carrier_webhook, easypost_webhook
from adapters.easypost_carrier import EasyPostCarrier
from adapters.http_carrier import HttpCarrier
from domain.shipping import CarrierChoice, TrackingUpdate


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


def tracking_reader(
    choice: CarrierChoice, secrets: Sequence[str]
) -> Callable[[bytes, Mapping[str, str]], TrackingUpdate | None]:
    """What verifies and reads the callbacks of the carrier that was chosen.

    It takes body and headers, and raises `InvalidWebhookError`.
    """
    read = {
        CarrierChoice.HTTP: carrier_webhook.read_tracking,
        CarrierChoice.EASYPOST: easypost_webhook.read_tracking,
    }[choice]
    return partial(read, secrets=secrets)
