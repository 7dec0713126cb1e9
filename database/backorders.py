"""The queue for stock: paid shipments that wait until there is enough, first come, first served.

A shipment takes pieces only when enough are left for all that queue before it. Whoever joins or
passes the queue has locked the stock rows of its SKUs, so that places are given one by one.
"""

from collections.abc import Collection, Iterable

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ARRAY, Text, any_, bindparam, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.tables import backorders, orders, stock
from domain.ids import FulfillmentRef
from domain.shipping import ParcelItem

_IS_MINE = is_fulfillment(backorders)
_SKUS = bindparam("of_skus", type_=ARRAY(Text))
_MY_PLACES = select(backorders.c.sku, backorders.c.place).where(_IS_MINE).subquery()
_AHEAD = (
    select(backorders.c.sku, func.sum(backorders.c.quantity).label("quantity"))
    .outerjoin(_MY_PLACES, _MY_PLACES.c.sku == backorders.c.sku)
    .where(
        backorders.c.sku == any_(_SKUS),
        or_(_MY_PLACES.c.place.is_(None), backorders.c.place < _MY_PLACES.c.place),
    )
    .group_by(backorders.c.sku)
)
_INSERT = insert(backorders)
_JOIN = _INSERT.on_conflict_do_update(
    index_elements=list(backorders.primary_key), set_={"quantity": _INSERT.excluded.quantity}
)
_IS_QUEUED = select(backorders.c.sku).where(_IS_MINE).limit(1)
_LEAVE = delete(backorders).where(_IS_MINE)


class WaitingShipment(BaseModel):
    """A shipment that waits for stock, and its order's account."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    line_item_id: str
    kind: str
    account: str | None

    @property
    def ref(self) -> FulfillmentRef:
        """Its name."""
        return FulfillmentRef.model_validate(self, from_attributes=True)


async def join_queue(
    connection: AsyncConnection, ref: FulfillmentRef, items: Iterable[ParcelItem]
) -> None:
    """Queues for what a shipment needs; one that queues already keeps its place."""
    rows = [
        {**ref.model_dump(), "sku": item.sku, "quantity": item.quantity}
        for item in sorted(items, key=lambda item: item.sku)
    ]
    wanted = [row["sku"] for row in rows]
    await connection.execute(
        _LEAVE.where(backorders.c.sku.not_in(wanted)),
        naming(ref),
    )
    await connection.execute(_JOIN, rows)


async def leave_queue(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Gives a shipment's place up."""
    await connection.execute(_LEAVE, naming(ref))


async def is_queued(connection: AsyncConnection, ref: FulfillmentRef) -> bool:
    """Whether a shipment waits for stock."""
    return await connection.scalar(_IS_QUEUED, naming(ref)) is not None


async def queued_before(
    connection: AsyncConnection, ref: FulfillmentRef, skus: Collection[str]
) -> dict[str, int]:
    """Pieces that others queue for, by SKU: before this one, or at all where it does not queue."""
    rows = await connection.execute(_AHEAD, {**naming(ref), _SKUS.key: sorted(skus)})
    return {row.sku: row.quantity for row in rows}


async def read_queued(connection: AsyncConnection) -> dict[str, int]:
    """Pieces that are waited for, by SKU."""
    rows = await connection.execute(
        select(backorders.c.sku, func.sum(backorders.c.quantity).label("quantity")).group_by(
            backorders.c.sku
        )
    )
    return {row.sku: row.quantity for row in rows}


async def read_ready(connection: AsyncConnection, limit: int) -> list[WaitingShipment]:
    """Queuing shipments for which stock has come, the oldest first."""
    on_hand = (
        select(stock.c.sku, func.sum(stock.c.on_hand).label("on_hand"))
        .where(stock.c.sku.in_(select(backorders.c.sku)))
        .group_by(stock.c.sku)
        .subquery()
    )
    wanted = func.sum(backorders.c.quantity).over(
        partition_by=backorders.c.sku, order_by=backorders.c.place
    )
    queue = (
        select(
            backorders.c.session_id,
            backorders.c.line_item_id,
            backorders.c.kind,
            backorders.c.place,
            (wanted <= on_hand.c.on_hand).label("fits"),
        )
        .join(on_hand, on_hand.c.sku == backorders.c.sku)
        .subquery()
    )
    rows = await connection.execute(
        select(queue.c.session_id, queue.c.line_item_id, queue.c.kind, orders.c.account)
        .join(orders, orders.c.session_id == queue.c.session_id)
        .group_by(queue.c.session_id, queue.c.line_item_id, queue.c.kind, orders.c.account)
        .having(func.bool_and(queue.c.fits))
        .order_by(func.min(queue.c.place))
        .limit(limit)
    )
    return [WaitingShipment.model_validate(row, from_attributes=True) for row in rows]
