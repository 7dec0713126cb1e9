"""What is sold, what each ware promises, and how its payment goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

STOCK = {"CHAOS-MUG": 1_000_000, "CHAOS-BOOK": 1_000_000}
"""Pieces on hand at the begin: more than any run sells."""
FEATURE = "course"
KEY_FORMAT = "CHAOS-XXXXXX-XXXXXX"
FILE = "field-notes.txt"
"""Of the sample shop, in the stack's own folder of downloads."""

_ACCESS = {
    "fulfillment": "access",
    "access_url": "https://learn.example.com/course",
    "access_feature": FEATURE,
}
_LICENSE = {"fulfillment": "license_key", "license_key_format": KEY_FORMAT}
_DOWNLOAD = {"fulfillment": "download", "download_files": FILE}


def _shipment(sku: str) -> dict[str, str]:
    return {"fulfillment": "shipment", "shipment_sku": sku, "shipment_weight_grams": "350"}


@dataclass(frozen=True)
class Ware:
    """What lies in a cart.

    Attributes:
        products: The metadata of each line item's product.
        skus: Of which a piece is shipped for each one that is bought.
        access: Whether the customer may use something.
        keys: Whether each piece comes with a license key.
        files: Whether there is something to download.
        calls: Whether the merchant's own service is asked, once for all pieces.
    """

    products: tuple[Mapping[str, str], ...]
    skus: tuple[str, ...] = ()
    access: bool = False
    keys: bool = False
    files: bool = False
    calls: bool = False


def wares(service_url: str) -> dict[str, Ware]:
    """All that is sold, by name.

    Args:
        service_url: Where the merchant's own service is.
    """
    mug, book = (_shipment(sku) for sku in STOCK)
    service = {"fulfillment": "webhook", "webhook_url": service_url, "webhook_reversals": "true"}
    mug_sku, book_sku = STOCK
    return {
        "access": Ware((_ACCESS,), access=True),
        "parcel": Ware((mug,), skus=(mug_sku,)),
        "license key": Ware((_LICENSE,), keys=True),
        "download": Ware((_DOWNLOAD,), files=True),
        "service": Ware((service,), calls=True),
        "two parcels": Ware((mug, book), skus=(mug_sku, book_sku)),
        "book and file": Ware(
            ({**book, **_DOWNLOAD, "fulfillment": "shipment,download"},),
            skus=(book_sku,),
            files=True,
        ),
        "all of it": Ware(
            (_ACCESS, mug, _LICENSE, _DOWNLOAD, service),
            skus=(mug_sku,),
            access=True,
            keys=True,
            files=True,
            calls=True,
        ),
    }


class Story(StrEnum):
    """How the payment goes."""

    PAID = "paid by card"
    SECOND_CARD = "declined, then paid"
    DECLINED = "declined"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    DEBIT_PAID = "bank debit, paid later"
    DEBIT_FAILED = "bank debit, failed"
    REFUNDED = "paid, then refunded"


FREQUENCIES = {
    Story.PAID: 10,
    Story.SECOND_CARD: 2,
    Story.DECLINED: 1,
    Story.ABANDONED: 1,
    Story.EXPIRED: 1,
    Story.DEBIT_PAID: 3,
    Story.DEBIT_FAILED: 2,
    Story.REFUNDED: 2,
}
"""How often each comes beside the others."""
REFUNDABLE = "access"
"""What is bought where the money goes back: a parcel on its way would need a person."""
