"""Parcels: what is asked of a carrier, what it answers, and what it tells of them later."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.checkout import Address
from domain.money import Money


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ParcelStatus(StrEnum):
    """Where a parcel is."""

    PLANNED = "planned"
    """Its pieces are taken from stock; the carrier may not know of it yet."""
    BOOKED = "booked"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    """It is late, lost, damaged or on its way back."""


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
    carrier_shipment_id: str | None = None
    tracking_number: str | None = None
    status: ParcelStatus
    message: str | None = None
    at: datetime
