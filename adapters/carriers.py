"""Which adapter speaks for which carrier."""

from adapters.http_carrier import HttpCarrier
from domain.shipping import CarrierChoice


def open_carrier(choice: CarrierChoice, url: str, api_key: str | None) -> HttpCarrier:
    """The carrier that was chosen, to be entered before it is used.

    Args:
        choice: Which one.
        url: Its address.
        api_key: What it asks of us, if anything.
    """
    if choice is CarrierChoice.EASYPOST:
        raise NotImplementedError
    return HttpCarrier(url, api_key)
