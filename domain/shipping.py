"""Parcels: what is asked of a carrier, what it answers, and what it tells of them later."""

import math
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.checkout import Address
from domain.errors import PermanentError
from domain.money import Money


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class CarrierChoice(StrEnum):
    """Which carrier brings the parcels."""

    HTTP = "http"
    """Any service with the calls of docs/carrier.md."""
    EASYPOST = "easypost"


class ParcelStatus(StrEnum):
    """Where a parcel is."""

    PLANNED = "planned"
    """Its pieces are taken from stock; the carrier may not know of it yet."""
    BOOKED = "booked"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    """It is late, lost, damaged or on its way back."""
    CANCELED = "canceled"
    """It was taken back before the carrier had it; its pieces are in stock again."""


class ParcelItem(_Value):
    """So many pieces of one SKU."""

    sku: str
    quantity: int
    weight_grams: int
    """Of one piece."""


class Parcel(_Value):
    """A parcel as an order shows it; parts from the carrier are None until it has booked."""

    number: int
    warehouse: str
    items: tuple[ParcelItem, ...]
    status: ParcelStatus
    status_at: datetime | None = None
    carrier: str | None = None
    service: str | None = None
    label_url: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None


class ShipmentRequest(_Value):
    """One parcel to be booked.

    `reference` names it at the carrier for ever, so that it can be looked up before it is
    booked again; it is also the idempotency key.
    """

    reference: str
    to: Address
    phone: str | None = None
    from_address: Address | None = None
    """Of the warehouse; None where the carrier knows it by itself."""
    items: tuple[ParcelItem, ...]

    @property
    def weight_grams(self) -> int:
        """Of the whole parcel."""
        return sum(item.quantity * item.weight_grams for item in self.items)


class Rate(_Value):
    """What a carrier offers to bring a parcel for."""

    id: str
    carrier: str
    service: str
    price: Money
    delivery_days: int | None = None
    """From the pickup on; None where the carrier does not say."""

    @property
    def name(self) -> str:
        """Carrier and service, as `RateRule.services` names them."""
        return f"{self.carrier} {self.service}"


class RateOrder(StrEnum):
    """Which of two rates is better."""

    CHEAPEST = "cheapest"
    """Of equal ones, the faster."""
    FASTEST = "fastest"
    """Of equal ones, the cheaper; one that names no days comes last."""


class RateRule(_Value):
    """By which rate a parcel goes."""

    services: tuple[str, ...] = ()
    """Carrier and service, as in `USPS Priority`: the first that is offered is taken."""
    otherwise: RateOrder = RateOrder.CHEAPEST
    """Which one where none of the services is offered."""


class BookedShipment(_Value):
    """A parcel that the carrier has accepted."""

    id: str
    carrier: str
    tracking_number: str
    tracking_url: str
    service: str | None = None
    label_url: str | None = None
    price: Money | None = None


class TrackingUpdate(_Value):
    """What a carrier tells of a parcel that it has booked."""

    event_id: str
    """The carrier's own; the same one may come again."""
    reference: str | None = None
    """What we called the parcel, where the carrier says."""
    carrier_shipment_id: str | None = None
    tracking_number: str | None = None
    status: ParcelStatus
    message: str | None = None
    at: datetime


def choose_rate(rates: Sequence[Rate], rule: RateRule) -> Rate:
    """The rate that a parcel goes by.

    Raises:
        PermanentError: None is offered, or prices in several currencies are to be compared.
    """
    if not rates:
        raise PermanentError("no_rate", "the carrier offers no rate for this parcel")
    offered = {rate.name: rate for rate in rates}
    for service in rule.services:
        if service in offered:
            return offered[service]
    if len({rate.price.currency for rate in rates}) > 1:
        raise PermanentError(
            "rates_incomparable",
            "the carrier offers rates in several currencies: name the services to take in "
            "catalog.toml, [shipping]",
        )

    def days(rate: Rate) -> float:
        return math.inf if rate.delivery_days is None else rate.delivery_days

    if rule.otherwise is RateOrder.FASTEST:
        return min(rates, key=lambda rate: (days(rate), rate.price.amount_minor))
    return min(rates, key=lambda rate: (rate.price.amount_minor, days(rate)))
