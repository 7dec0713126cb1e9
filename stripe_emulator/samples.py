"""The sample products of the shop page: one for each way of fulfilling an order.

The metadata keys are those that a fulfillment service reads: `fulfillment` names the ways,
and each way has its own keys.
"""

from typing import Final

from .emulator import Emulator
from .resources.prices import new_price
from .resources.products import new_product
from .store import StripeObject

SHIPPING_COUNTRIES: Final = ["AT", "CA", "CH", "DE", "ES", "FR", "GB", "IT", "JP", "NL", "US"]

_Sample = tuple[str, str, str, str, int, dict[str, str]]

_SAMPLES: Final[tuple[_Sample, ...]] = (
    (
        "prod_SampleCourse",
        "Online course: Durable Workflows",
        "Eight lessons, yours to keep. Access right after payment.",
        "usd",
        4900,
        {
            "fulfillment": "access",
            "access_url": "https://example.com/course",
            "access_feature": "online-course",
        },
    ),
    (
        "prod_SampleMug",
        "Blue mug",
        "Stoneware, 350 ml, dishwasher safe.",
        "usd",
        1800,
        {
            "fulfillment": "shipment",
            "shipment_sku": "MUG-BLUE",
            "shipment_weight_grams": "350",
        },
    ),
    (
        "prod_SampleBook",
        "Book and e-book: Orders That Arrive",
        "The printed book by mail, the e-book at once.",
        "usd",
        3900,
        {
            "fulfillment": "access,shipment",
            "access_url": "https://example.com/ebook",
            "access_feature": "ebook",
            "shipment_sku": "BOOK-PRINT",
            "shipment_weight_grams": "620",
        },
    ),
    (
        "prod_SampleTeam",
        "Team workspace, one month",
        "Three seats. Another month goes on where this one ends.",
        "usd",
        2700,
        {
            "fulfillment": "access",
            "access_url": "https://example.com/workspace",
            "access_feature": "workspace",
            "access_seats": "3",
            "access_duration": "P1M",
        },
    ),
    (
        "prod_SampleEditor",
        "Photo editor",
        "A license key for two computers.",
        "eur",
        5900,
        {
            "fulfillment": "license_key",
            "license_key_format": "PHOTO-XXXXX-XXXXX-XXXXX",
            "license_key_activation_limit": "2",
        },
    ),
    (
        "prod_SampleRecordings",
        "Field recordings",
        "Notes from the field as a file, to download for 30 days.",
        "usd",
        1200,
        {
            "fulfillment": "download",
            "download_files": "field-notes.txt",
            "download_days": "30",
            "download_limit": "5",
        },
    ),
    (
        "prod_SamplePrint",
        "Signed print, sold out",
        "So many wanted it: you choose whether to wait, or to have your money back.",
        "usd",
        7500,
        {
            "fulfillment": "shipment",
            "shipment_sku": "PRINT-SIGNED",
            "shipment_weight_grams": "300",
            "shipment_out_of_stock": "refund_offer",
        },
    ),
    (
        "prod_SampleConsulting",
        "One hour of consulting",
        "We call you to find a date.",
        "eur",
        15000,
        {
            "fulfillment": "manual",
            "manual_instructions": "Call the customer and agree on a date for the hour.",
        },
    ),
    (
        "prod_SampleTeapot",
        "Iron teapot",
        "Cast in Morioka, 0.6 l.",
        "jpy",
        9800,
        {
            "fulfillment": "shipment",
            "shipment_sku": "TEAPOT-JP",
            "shipment_weight_grams": "1400",
        },
    ),
)


def _offered(emulator: Emulator) -> tuple[_Sample, ...]:
    service_url = emulator.config.service_url
    if service_url is None:
        return _SAMPLES
    registration = (
        "prod_SampleRegistration",
        "Entry in the register of teapots",
        "Made by the merchant's own service, a moment after the payment.",
        "usd",
        1500,
        {"fulfillment": "webhook", "webhook_url": service_url},
    )
    return (*_SAMPLES, registration)


def add_samples(emulator: Emulator) -> None:
    """Put the sample products on the platform account, unless they are there.

    They come without events: to an endpoint they have always existed.
    """
    account = emulator.store.platform
    for product_id, name, description, currency, amount, metadata in _offered(emulator):
        known = account.find(product_id)
        if known is not None:
            if "webhook_url" in metadata:
                # In an earlier run the service may have had another address.
                known["metadata"] |= {"webhook_url": metadata["webhook_url"]}
            continue
        product = new_product(
            {
                "id": product_id,
                "name": name,
                "description": description,
                "metadata": metadata,
                "shippable": "shipment" in metadata["fulfillment"],
            }
        )
        price = new_price(product_id, {"currency": currency, "unit_amount": amount})
        product["default_price"] = price["id"]
        account.add(product)
        account.add(price)


def samples(emulator: Emulator) -> list[tuple[StripeObject, StripeObject]]:
    """The sample products that still exist, each with its price."""
    account = emulator.store.platform
    found = []
    for product_id, *_ in _offered(emulator):
        product = account.find(product_id)
        if product is not None and product["default_price"]:
            found.append((product, account.get("price", product["default_price"])))
    return found
