"""Access: entitlements to what a merchant offers online."""

from pydantic import BaseModel, ConfigDict, JsonValue
from temporalio import activity

from activities.messages import Messages
from activities.reversals import ReverseInput
from database.audit import record_act
from database.engine import Database
from database.entitlements import grant, read_entitlement, reverse, revoke
from database.orders import claim_line, mark_fulfillment
from database.reversals import lock_reversible, note_taken_back
from domain.entitlements import Entitlement, Renewal
from domain.ids import FulfillmentRef
from domain.messages import MessageType
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


class Access:
    """Grants and revokes entitlements, and tells the merchant's application.

    Args:
        database: Where entitlements are recorded.
        messages: Tells the application.
    """

    def __init__(self, database: Database, messages: Messages) -> None:
        self._database = database
        self._messages = messages

    async def grant(self, request: GrantAccessInput) -> None:
        """Writes the entitlement and marks its fulfillment, both or neither."""
        ref = request.fulfillment
        message = None
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            entitlement, is_new = await grant(
                connection,
                ref,
                feature=request.feature,
                url=request.url,
                quantity=line.quantity * request.seats,
                duration=request.duration,
                renewal=request.renewal,
            )
            if is_new:
                message = await self._messages.record(
                    connection,
                    MessageType.ENTITLEMENT_GRANTED,
                    _told(entitlement),
                    ref.session_id,
                )
            link = Deliverable(
                type=DeliverableType.LINK, value=entitlement.url, expires_at=entitlement.expires_at
            )
            await mark_fulfillment(connection, ref, FulfillmentState.FULFILLED, delivered=[link])
        await self._messages.send(message)

    async def revoke(self, entitlement_id: str, *, by: str, because: str) -> Entitlement | None:
        """Ends an entitlement now; once revoked it stays as it is.

        Args:
            entitlement_id: Which one.
            by: Who wants it: an operator, or `stripe` for a refund or a dispute.
            because: Why; no personal data.

        Returns:
            The entitlement as it is now; None when there is no such one.
        """
        async with self._database.transaction() as connection:
            revoked = await revoke(connection, entitlement_id, because)
            if revoked is None:
                return await read_entitlement(connection, entitlement_id)
            await record_act(
                connection,
                revoked.session_id,
                act="entitlement_revoked",
                by=by,
                detail=f"{revoked.id}: {because}",
            )
            message = await self._messages.record(
                connection,
                MessageType.ENTITLEMENT_REVOKED,
                _told(revoked),
                revoked.session_id,
            )
        await self._messages.send(message)
        return revoked

    async def reverse(self, ref: FulfillmentRef) -> None:
        """Brings an entitlement to the pieces that are still paid for, and tells the application.

        Without any it is revoked, and granted again should they come back. One that an operator
        has revoked stays so.
        """
        message = None
        async with self._database.transaction() as connection:
            fulfillment = await lock_reversible(connection, ref)
            changed = await reverse(connection, ref, fulfillment.kept)
            if changed is not None:
                message = await self._messages.record(
                    connection,
                    MessageType.ENTITLEMENT_REVOKED
                    if changed.revoked_at
                    else MessageType.ENTITLEMENT_GRANTED,
                    _told(changed),
                    ref.session_id,
                )
            await note_taken_back(connection, fulfillment)
        await self._messages.send(message)


def _told(entitlement: Entitlement) -> dict[str, JsonValue]:
    """What the application hears of an entitlement.

    Erasure of personal data finds the address at `customer.email`.
    """
    told: dict[str, JsonValue] = entitlement.model_dump(
        mode="json", exclude={"customer_id", "customer_email", "client_reference_id"}
    )
    customer: dict[str, JsonValue] = {
        "id": entitlement.customer_id,
        "client_reference_id": entitlement.client_reference_id,
        "email": entitlement.customer_email,
    }
    return {**told, "customer": customer}


class AccessActivities:
    """Activities on entitlements.

    Args:
        access: Grants them.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    @activity.defn
    async def grant_access(self, request: GrantAccessInput) -> None:
        """Grants what a fulfillment brings; a second time changes nothing."""
        await self._access.grant(request)

    @activity.defn
    async def reverse_access(self, request: ReverseInput) -> None:
        """Takes back what was refunded of a fulfillment, or gives it back."""
        await self._access.reverse(request.fulfillment)
