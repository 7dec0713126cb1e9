"""Which warehouse gives which pieces, and in which parcels they go."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.shipping import ParcelItem

MAIN_WAREHOUSE = "main"
"""The one that there is where the catalog names none."""


class OutOfStockPolicy(StrEnum):
    """What happens to a paid line item that cannot be shipped from stock."""

    OPERATOR = "operator"
    """It is action required."""
    BACKORDER = "backorder"
    """It waits for stock; the customer may choose the money back instead."""
    REFUND_OFFER = "refund_offer"
    """The customer chooses; without an answer it is the money back."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Take(_Value):
    """So many pieces of a SKU, off the stock of one warehouse."""

    sku: str
    warehouse: str
    quantity: int


class PackedParcel(_Value):
    """What goes into one parcel."""

    warehouse: str
    items: tuple[ParcelItem, ...]


def allocate(
    items: Sequence[ParcelItem],
    on_hand: Mapping[tuple[str, str], int],
    warehouses: Sequence[str],
) -> tuple[Take, ...] | None:
    """Chooses where pieces come from.

    One warehouse that has everything is best, since that makes one parcel; else each SKU comes
    from as many as it needs.

    Args:
        items: What is wanted; each SKU once.
        on_hand: Pieces by SKU and warehouse.
        warehouses: Those to choose from, the best one first.

    Returns:
        What to take, in the order of SKU and warehouse; None when there is too little.
    """
    for warehouse in warehouses:
        if all(on_hand.get((item.sku, warehouse), 0) >= item.quantity for item in items):
            return _in_order(
                Take(sku=item.sku, warehouse=warehouse, quantity=item.quantity) for item in items
            )
    takes = []
    for item in items:
        missing = item.quantity
        for warehouse in warehouses:
            quantity = min(missing, on_hand.get((item.sku, warehouse), 0))
            if quantity:
                takes.append(Take(sku=item.sku, warehouse=warehouse, quantity=quantity))
                missing -= quantity
        if missing:
            return None
    return _in_order(takes)


def _in_order(takes: Iterable[Take]) -> tuple[Take, ...]:
    return tuple(sorted(takes, key=lambda take: (take.sku, take.warehouse)))


def pack(
    takes: Iterable[Take], weights_grams: Mapping[str, int], max_grams: int
) -> tuple[PackedParcel, ...]:
    """Packs what was taken: the heaviest pieces first, each into the first parcel with room.

    Pieces of different warehouses never share a parcel. A piece that is heavier than the limit
    has a parcel of its own.

    Args:
        takes: What was taken.
        weights_grams: Of one piece, by SKU.
        max_grams: What a parcel may weigh.
    """
    by_warehouse: dict[str, list[Take]] = {}
    for take in takes:
        by_warehouse.setdefault(take.warehouse, []).append(take)
    parcels = []
    for warehouse, pieces in by_warehouse.items():
        heaviest_first = sorted(pieces, key=lambda take: (-weights_grams[take.sku], take.sku))
        parcels += [
            PackedParcel(warehouse=warehouse, items=tuple(items))
            for items in _fill(heaviest_first, weights_grams, max_grams)
        ]
    return tuple(parcels)


def _fill(
    takes: Iterable[Take], weights_grams: Mapping[str, int], max_grams: int
) -> list[list[ParcelItem]]:
    parcels: list[list[ParcelItem]] = []
    rooms: list[int] = []
    for take in takes:
        weight = weights_grams[take.sku]
        left = take.quantity
        # Equal pieces are put in together: first-fit would put them there one by one.
        for number, room in enumerate(rooms):
            fitting = min(left, room // weight)
            if fitting > 0:
                parcels[number].append(
                    ParcelItem(sku=take.sku, quantity=fitting, weight_grams=weight)
                )
                rooms[number] -= fitting * weight
                left -= fitting
        while left:
            fitting = min(left, max(1, max_grams // weight))
            parcels.append([ParcelItem(sku=take.sku, quantity=fitting, weight_grams=weight)])
            rooms.append(max_grams - fitting * weight)
            left -= fitting
    return parcels
