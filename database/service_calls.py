"""What the merchant's own service was asked to fulfill, and what it said.

There is one row per fulfillment, and the service's first final word counts.
"""

from datetime import datetime
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SAME_LINE, is_fulfillment, naming
from database.tables import fulfillments, line_items, orders, service_calls
from domain.ids import FulfillmentRef
from domain.orders import Deliverable
from domain.services import (
    FINAL_STATUSES,
    CallStatus,
    ServiceAnswer,
    ServiceCustomer,
    ServiceItem,
    SoldItem,
)


class ServiceCall(BaseModel):
    """One request to the service, and how far it is."""

    model_config = ConfigDict(frozen=True)

    id: str
    session_id: str
    line_item_id: str
    kind: str
    status: CallStatus
    reason: str | None
    delivered: tuple[Deliverable, ...]
    created_at: datetime
    updated_at: datetime

    @property
    def ref(self) -> FulfillmentRef:
        """Which fulfillment it is about."""
        return FulfillmentRef(
            session_id=self.session_id, line_item_id=self.line_item_id, kind=self.kind
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing that the service says changes it any more."""
        return self.status in FINAL_STATUSES

    def contradicts(self, answer: ServiceAnswer) -> bool:
        """Whether the service now says something else than its first final word."""
        said = (self.status, self.reason, self.delivered)
        return answer.status in FINAL_STATUSES and said != (
            answer.status,
            answer.reason,
            answer.delivered,
        )


_IS_CALL_OF = is_fulfillment(service_calls)
_IS_CALL = service_calls.c.id == bindparam("ref_call_id")
_CLAIM = insert(service_calls).on_conflict_do_nothing().returning(service_calls)
_READ = select(service_calls).where(_IS_CALL_OF)
_RENEW = (
    update(service_calls)
    .where(_IS_CALL_OF)
    .values(
        id=bindparam("new_id"),
        status=CallStatus.ASKED,
        reason=None,
        delivered=[],
        created_at=func.now(),
    )
    .returning(service_calls)
)
_LOCK = select(service_calls).where(_IS_CALL).with_for_update()
_RECORD = (
    update(service_calls)
    .where(_IS_CALL)
    .values(
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        delivered=bindparam("new_delivered"),
    )
    .returning(service_calls)
)
_BEGIN_WAITING = update(service_calls).where(_IS_CALL_OF).values(updated_at=func.now())
_ABANDON = (
    update(service_calls)
    .where(_IS_CALL_OF, service_calls.c.status.not_in(FINAL_STATUSES))
    .values(status=CallStatus.ABANDONED)
)
_READ_PARAMETERS = select(fulfillments.c.parameters).where(is_fulfillment(fulfillments))
_READ_SOLD = (
    select(
        line_items,
        (line_items.c.quantity - fulfillments.c.reversed).label("wanted"),
        orders.c.account,
        orders.c.livemode,
        orders.c.locale,
        orders.c.client_reference_id,
        orders.c.customer_id,
        orders.c.customer_email,
        orders.c.customer_name,
        orders.c.collected,
        orders.c.shipping_address,
    )
    .join(orders, orders.c.session_id == line_items.c.session_id)
    .join(fulfillments, SAME_LINE)
    .where(is_fulfillment(fulfillments))
)


def _new_id() -> str:
    return f"call_{uuid4().hex}"


async def claim_call(connection: AsyncConnection, ref: FulfillmentRef) -> ServiceCall:
    """Writes the row that stands before the service is asked, or reads it.

    Lock the fulfillment first.
    """
    row = {**ref.model_dump(), "id": _new_id(), "status": CallStatus.ASKED}
    claimed = (await connection.execute(_CLAIM, row)).one_or_none()
    if claimed is None:
        claimed = (await connection.execute(_READ, naming(ref))).one()
    return ServiceCall.model_validate(claimed, from_attributes=True)


async def read_call(connection: AsyncConnection, ref: FulfillmentRef) -> ServiceCall | None:
    """What the service was asked; None where it never was. Lock the fulfillment first."""
    row = (await connection.execute(_READ, naming(ref))).one_or_none()
    return None if row is None else ServiceCall.model_validate(row, from_attributes=True)


async def read_parameters(connection: AsyncConnection, ref: FulfillmentRef) -> dict[str, str]:
    """The parameters that a fulfillment was planned with."""
    parameters: dict[str, str] = await connection.scalar(_READ_PARAMETERS, naming(ref)) or {}
    return parameters


async def renew_call(connection: AsyncConnection, ref: FulfillmentRef) -> ServiceCall:
    """Makes of it a new request with an ID of its own: the service has failed the one before."""
    row = (await connection.execute(_RENEW, {**naming(ref), "new_id": _new_id()})).one()
    return ServiceCall.model_validate(row, from_attributes=True)


async def record_answer(
    connection: AsyncConnection, call_id: str, answer: ServiceAnswer
) -> ServiceCall | None:
    """Records what the service says, unless its final word is known.

    Returns:
        How the call stands now; None when there is none of this ID.
    """
    row = (await connection.execute(_LOCK, {"ref_call_id": call_id})).one_or_none()
    if row is None:
        return None
    call = ServiceCall.model_validate(row, from_attributes=True)
    if call.is_final or call.status is answer.status:
        return call
    values = {
        "ref_call_id": call_id,
        "new_status": answer.status,
        "new_reason": answer.reason,
        "new_delivered": [each.model_dump(mode="json") for each in answer.delivered],
    }
    recorded = (await connection.execute(_RECORD, values)).one()
    return ServiceCall.model_validate(recorded, from_attributes=True)


async def begin_waiting(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Counts from now on how long the service takes."""
    await connection.execute(_BEGIN_WAITING, naming(ref))


async def abandon_call(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Ends a call that has no final word."""
    await connection.execute(_ABANDON, naming(ref))


async def read_sold(connection: AsyncConnection, ref: FulfillmentRef) -> SoldItem:
    """What was bought, and by whom."""
    row = (await connection.execute(_READ_SOLD, naming(ref))).one()
    return SoldItem(
        session_id=row.session_id,
        account=row.account,
        livemode=row.livemode,
        locale=row.locale,
        client_reference_id=row.client_reference_id,
        line_item=ServiceItem(
            id=row.line_item_id,
            description=row.description,
            quantity=row.wanted,
            price_id=row.price_id,
            product_id=row.product_id,
            amount_total_minor=row.amount_total_minor,
            currency=row.currency,
        ),
        customer=ServiceCustomer(
            id=row.customer_id,
            email=row.customer_email,
            name=row.customer_name,
            phone=(row.collected or {}).get("phone"),
            shipping_address=row.shipping_address,
        ),
    )
