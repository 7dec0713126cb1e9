"""Parcels: one row each, written together with the shipment's, before the carrier is called."""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.shipments import SAVED, ShipmentRow
from database.tables import parcels
from domain.errors import TransientError
from domain.ids import FulfillmentRef
from domain.shipping import BookedShipment, ParcelItem, ParcelStatus
from domain.stock import PackedParcel, Take


class ParcelRow(BaseModel):
    """A parcel as far as booking it needs to know."""

    model_config = ConfigDict(frozen=True)

    reference: str
    warehouse: str
    items: tuple[ParcelItem, ...]
    number: int
    """Of the shipment's parcels, from 1."""
    status: ParcelStatus = ParcelStatus.PLANNED
    carrier_shipment_id: str | None = None
    """None until the carrier has booked it."""

    @property
    def is_unbooked(self) -> bool:
        """Whether no carrier is known to have booked it."""
        return self.carrier_shipment_id is None

    @property
    def is_shipped(self) -> bool:
        """Whether the carrier has it, or fetches it."""
        return not self.is_unbooked and self.status is not ParcelStatus.CANCELED

    @property
    def pieces(self) -> Counter[str]:
        """What is in it, by SKU."""
        return Counter({item.sku: item.quantity for item in self.items})

    @property
    def takes(self) -> tuple[Take, ...]:
        """What it holds of the stock."""
        return tuple(
            Take(sku=item.sku, warehouse=self.warehouse, quantity=item.quantity)
            for item in self.items
        )


_IS_PARCEL = is_fulfillment(parcels)
_SAVE = (
    insert(parcels)
    .values(
        session_id=bindparam("session_id"),
        line_item_id=bindparam("line_item_id"),
        kind=bindparam("kind"),
        number=bindparam("number"),
        reference=bindparam("reference"),
        warehouse=bindparam("warehouse"),
        items=bindparam("items", type_=JSONB),
        status=ParcelStatus.PLANNED,
    )
    .add_cte(SAVED)
)
_READ = select(parcels).where(_IS_PARCEL).order_by(parcels.c.number)
_FORGET = delete(parcels).where(_IS_PARCEL, parcels.c.carrier_shipment_id.is_(None))
_CANCEL = (
    update(parcels)
    .where(
        parcels.c.reference.in_(bindparam("references", expanding=True)),
        parcels.c.carrier_shipment_id.is_not(None),
    )
    .values(status=ParcelStatus.CANCELED, status_at=func.now())
)
_MARK_BOOKED = (
    update(parcels)
    .where(parcels.c.reference == bindparam("of_reference"))
    .values(
        carrier_shipment_id=bindparam("booked_id"),
        carrier=bindparam("booked_carrier"),
        service=bindparam("booked_service"),
        price_minor=bindparam("booked_price_minor"),
        price_currency=bindparam("booked_price_currency"),
        label_url=bindparam("booked_label_url"),
        tracking_number=bindparam("booked_tracking_number"),
        tracking_url=bindparam("booked_tracking_url"),
        # Its tracking may have begun before its booking was recorded.
        status=case(
            (parcels.c.status == ParcelStatus.PLANNED, ParcelStatus.BOOKED),
            else_=parcels.c.status,
        ),
        status_at=func.coalesce(parcels.c.status_at, func.now()),
    )
)


async def save_parcels(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    shipment: ShipmentRow,
    packed: Sequence[PackedParcel],
    *,
    after: int = 0,
) -> tuple[ParcelRow, ...]:
    """Writes the rows of a shipment that has just taken its stock, and of its parcels.

    Args:
        connection: Within whose transaction.
        ref: Which shipment.
        shipment: What was sold.
        packed: What goes into each parcel.
        after: The number of the shipment's last parcel, where it had some before.

    Raises:
        TransientError: Another try at the same moment was first; its rows count.
    """
    rows = tuple(
        ParcelRow(
            reference=_reference(ref, number),
            warehouse=each.warehouse,
            items=each.items,
            number=number,
        )
        for number, each in enumerate(packed, after + 1)
    )
    of_shipment = {
        **ref.model_dump(),
        **{f"shipment_{name}": value for name, value in shipment.model_dump().items()},
    }
    of_parcels = [
        {
            **of_shipment,
            "number": row.number,
            "reference": row.reference,
            "warehouse": row.warehouse,
            "items": [item.model_dump() for item in row.items],
        }
        for row in rows
    ]
    try:
        await connection.execute(_SAVE, of_parcels)
    except IntegrityError as error:
        raise TransientError("shipment_claimed", "another try has just taken its stock") from error
    return rows


def _reference(ref: FulfillmentRef, number: int) -> str:
    """A parcel's name at the carrier; most shipments are one parcel, named as they are."""
    return ref.idempotency_key if number == 1 else f"{ref.idempotency_key}:{number}"


async def read_parcels(connection: AsyncConnection, ref: FulfillmentRef) -> tuple[ParcelRow, ...]:
    """All parcels of a shipment, in their order."""
    rows = await connection.execute(_READ, naming(ref))
    return tuple(ParcelRow.model_validate(row, from_attributes=True) for row in rows)


async def forget_unbooked(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Removes the parcels that no carrier has booked."""
    await connection.execute(_FORGET, naming(ref))


async def mark_canceled(connection: AsyncConnection, references: Sequence[str]) -> None:
    """Records that the carrier has canceled parcels."""
    if references:
        await connection.execute(_CANCEL, {"references": references})


async def mark_booked(connection: AsyncConnection, reference: str, booked: BookedShipment) -> None:
    """Records what the carrier answered."""
    await connection.execute(
        _MARK_BOOKED,
        {
            "of_reference": reference,
            "booked_id": booked.id,
            "booked_carrier": booked.carrier,
            "booked_service": booked.service,
            "booked_price_minor": booked.price.amount_minor if booked.price else None,
            "booked_price_currency": booked.price.currency if booked.price else None,
            "booked_label_url": booked.label_url,
            "booked_tracking_number": booked.tracking_number,
            "booked_tracking_url": booked.tracking_url,
        },
    )
