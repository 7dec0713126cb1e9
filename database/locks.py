"""In which order rows are locked, so that no two transactions wait for each other.

The order's row, then the fulfillment's, then its reservations, then stock (see `database.stock`),
then whatever else belongs to the fulfillment: shipment, parcels, place in the queue, questions.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.tables import fulfillments
from domain.ids import FulfillmentRef

_LOCK = select(fulfillments.c.state).where(is_fulfillment(fulfillments)).with_for_update()


async def lock_fulfillment(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Locks a fulfillment until the transaction ends; what is read next is still true then."""
    await connection.execute(_LOCK, naming(ref))
