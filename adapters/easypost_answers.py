"""What EasyPost answers, as far as we read it.

Source: EasyPost's API documentation, "Addresses", "Shipments", "Rates", "Trackers".
"""

from decimal import ROUND_CEILING, Decimal

from pydantic import BaseModel, ConfigDict, Field

from domain.checkout import Address
from domain.errors import TransientError
from domain.money import Money, minor_unit_digits
from domain.shipping import BookedShipment, Rate

VENDOR = "easypost"
SEPARATOR = "/"
"""In the names of our rates, between EasyPost's of the shipment and of its rate."""
ADDRESS_NOT_FOUND = "E.ADDRESS.NOT_FOUND"


def unreadable() -> TransientError:
    """The error for an answer in an unknown form."""
    # It may have booked: the next try looks the parcel up.
    return TransientError(f"{VENDOR}_unreadable", f"{VENDOR} answered in an unknown form")


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _FieldError(_Answer):
    code: str | None = None


class _Verification(_Answer):
    success: bool
    errors: list[_FieldError] = []


class _Verifications(_Answer):
    delivery: _Verification | None = None


class PlainAddress(_Answer):
    """An address in EasyPost's words."""

    name: str | None = None
    street1: str | None = None
    street2: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    phone: str | None = None

    @classmethod
    def made(cls, address: Address, phone: str | None) -> "PlainAddress":
        """One of ours."""
        return cls(
            name=address.name,
            street1=address.line1,
            street2=address.line2,
            city=address.city,
            state=address.state,
            zip=address.postal_code,
            country=address.country,
            phone=phone,
        )


class VerifiedAddress(PlainAddress):
    """An address as EasyPost corrects it, where it can, and what it thinks of it."""

    id: str
    verifications: _Verifications = _Verifications()

    @property
    def is_unknown(self) -> bool:
        """Whether it does not find the address; it has other doubts, which say less."""
        delivery = self.verifications.delivery
        return (
            delivery is not None
            and not delivery.success
            and any(error.code == ADDRESS_NOT_FOUND for error in delivery.errors)
        )


class _Parcel(_Answer):
    weight: float
    """In ounces."""


class _Rate(_Answer):
    id: str
    carrier: str
    service: str
    rate: Decimal
    currency: str = Field(pattern=r"^[A-Za-z]{3}$")
    delivery_days: int | None = None

    @property
    def price(self) -> Money:
        minor = self.rate.scaleb(minor_unit_digits(self.currency))
        return Money(
            amount_minor=int(minor.to_integral_value(ROUND_CEILING)), currency=self.currency.lower()
        )


class OfferedRates(_Answer):
    """What carriers would take."""

    rates: list[_Rate]


class _Label(_Answer):
    label_url: str


class _Tracker(_Answer):
    public_url: str


class Shipment(OfferedRates):
    """A parcel, bought or not."""

    id: str
    to_address: PlainAddress
    from_address: PlainAddress
    parcel: _Parcel
    selected_rate: _Rate | None = None
    tracking_code: str | None = None
    postage_label: _Label | None = None
    tracker: _Tracker | None = None

    @property
    def is_bought(self) -> bool:
        """Whether a label was bought for it."""
        return self.selected_rate is not None

    @property
    def offered(self) -> tuple[Rate, ...]:
        """The rates that it can be bought by."""
        return tuple(
            Rate(
                id=f"{self.id}{SEPARATOR}{each.id}",
                carrier=each.carrier,
                service=each.service,
                price=each.price,
                delivery_days=each.delivery_days,
            )
            for each in self.rates
        )

    def booked(self) -> BookedShipment:
        """What was bought.

        Raises:
            TransientError: The answer lacks a part of it.
        """
        bought = self.selected_rate
        if (
            bought is None
            or self.tracking_code is None
            or self.tracker is None
            or self.postage_label is None
        ):
            raise unreadable()
        return BookedShipment(
            id=self.id,
            carrier=bought.carrier,
            service=bought.service,
            tracking_number=self.tracking_code,
            tracking_url=self.tracker.public_url,
            label_url=self.postage_label.label_url,
            price=bought.price,
        )


class Refunded(_Answer):
    """How far the refund of a shipment's label is."""

    refund_status: str | None = None

    @property
    def is_refunded(self) -> bool:
        """Whether it is asked for, or granted."""
        return self.refund_status in {"submitted", "refunded"}
