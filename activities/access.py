"""Access: entitlements to what a merchant offers online."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from database.engine import Database
from database.entitlements import grant
from database.orders import claim_line, mark_fulfillment
from domain.entitlements import Renewal
from domain.ids import FulfillmentRef
from domain.orders import Deliverable, DeliverableType, FulfillmentState


class GrantAccessInput(BaseModel):
    """What to grant, for which fulfillment."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    feature: str
    url: str
    seats: int = 1
    """Of each piece that was bought."""
    duration: str | None = None
    """In ISO 8601; None when it does not end by itself."""
    renewal: Renewal = Renewal.EXTEND


class AccessActivities:
    """Activities on entitlements.

    Args:
        database: Where entitlements are recorded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def grant_access(self, request: GrantAccessInput) -> None:
        """Writes the entitlement and marks its fulfillment, both or neither."""
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            granted, _ = await grant(
                connection,
                ref,
                feature=request.feature,
                url=request.url,
                quantity=line.quantity * request.seats,
                duration=request.duration,
                renewal=request.renewal,
            )
            link = Deliverable(
                type=DeliverableType.LINK, value=granted.url, expires_at=granted.expires_at
            )
            await mark_fulfillment(connection, ref, FulfillmentState.FULFILLED, delivered=[link])
