"""What is asked of a carrier, and what it answers."""

from pydantic import BaseModel, ConfigDict

from domain.checkout import Address


class ShipmentRequest(BaseModel):
    """One parcel to be booked.

    `reference` names it at the carrier for ever, so that it can be looked up before it is
    booked again; it is also the idempotency key.
    """

    model_config = ConfigDict(frozen=True)

    reference: str
    to: Address
    sku: str
    quantity: int
    weight_grams: int
    """Of one piece."""


class BookedShipment(BaseModel):
    """A parcel that the carrier has accepted."""

    model_config = ConfigDict(frozen=True)

    id: str
    carrier: str
    tracking_number: str
    tracking_url: str
