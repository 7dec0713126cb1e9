"""The merchant's own service, which fulfills what the kind `webhook` sells."""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import MerchantService
from activities.progress import Progress
from database.engine import Database
from database.orders import claim_line, mark_fulfillment
from database.service_calls import (
    ServiceCall,
    abandon_call,
    begin_waiting,
    claim_call,
    read_sold,
    record_answer,
    renew_call,
)
from domain.errors import PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.orders import FulfillmentState
from domain.services import CallStatus, ServiceOrder, ServiceRequest, SoldItem

PATIENCE = timedelta(days=30)
"""How long a service may have something in hand, until an operator is asked."""

_WAITING = Progress(waiting="the service has it in hand, and will call back")


class CallServiceInput(BaseModel):
    """What to ask of which service."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    url: str
    data: str | None = None


class AbandonServiceInput(BaseModel):
    """Which fulfillment is given up."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef


class ServiceActivities:
    """Activities with the merchant's own service.

    Args:
        database: Where calls and fulfillments are recorded.
        service: Reaches the service.
        links: Makes the URL that the service calls back.
    """

    def __init__(self, database: Database, service: MerchantService, links: Links) -> None:
        self._database = database
        self._service = service
        self._links = links

    @activity.defn
    async def call_service(self, request: CallServiceInput) -> Progress:
        """Asks the service to fulfill, and marks the fulfillment by what it says.

        The call's row is committed before the service is asked, and the service gets its ID on
        each try. As long as it has the thing in hand, each further look asks it again, so that
        a lost callback strands nothing. After a failure an operator's retry asks anew, with an
        ID of its own.

        Returns:
            That it waits for the service, or nothing.

        Raises:
            PermanentError: The service refuses, has failed, or takes too long.
            TransientError: The service cannot answer now.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            if line.state is FulfillmentState.FULFILLED:
                return Progress()
            call = await claim_call(connection, ref)
            is_retried = line.state is FulfillmentState.PENDING
            if call.status is CallStatus.ABANDONED or (
                call.status is CallStatus.FAILED and is_retried
            ):
                call = await renew_call(connection, ref)
            sold = await read_sold(connection, ref)
        if not call.is_final:
            call = await self._ask(request, call, sold)
        return await self._conclude(ref, call, line.state)

    async def _ask(
        self, request: CallServiceInput, call: ServiceCall, sold: SoldItem
    ) -> ServiceCall:
        order = ServiceOrder(
            **dict(sold),
            webhook_data=request.data,
            callback_url=self._links.service_callback(call.id),
        )
        asked = ServiceRequest(id=call.id, timestamp=call.created_at, data=order)
        answer = await self._service.fulfill(request.url, asked)
        async with self._database.transaction() as connection:
            recorded = await record_answer(connection, call.id, answer)
        if recorded is None:
            # Two tries at the same moment, and the other one asked anew.
            raise TransientError("service_call_replaced", "this call was replaced by another")
        return recorded

    async def _conclude(
        self, ref: FulfillmentRef, call: ServiceCall, before: FulfillmentState
    ) -> Progress:
        """Makes the fulfillment follow from its call."""
        if call.status is CallStatus.PENDING and before is FulfillmentState.AWAITING_SERVICE:
            if datetime.now(UTC) - call.updated_at > PATIENCE:
                raise PermanentError(
                    "service_late",
                    f"the service has had call {call.id} in hand for {PATIENCE.days} days",
                )
            return _WAITING
        async with self._database.transaction() as connection:
            if call.status is CallStatus.FULFILLED:
                await mark_fulfillment(
                    connection, ref, FulfillmentState.FULFILLED, delivered=call.delivered
                )
                return Progress()
            if call.status is CallStatus.PENDING:
                await begin_waiting(connection, ref)
                await mark_fulfillment(connection, ref, FulfillmentState.AWAITING_SERVICE)
                return _WAITING
            failure = PermanentError(
                "service_failed", f"call {call.id}: {call.reason or 'no reason given'}"
            )
            # Tells a further try of this activity from an operator's retry, which asks anew.
            await mark_fulfillment(
                connection, ref, FulfillmentState.ACTION_REQUIRED, error=failure.message
            )
        raise failure

    @activity.defn
    async def abandon_service_call(self, request: AbandonServiceInput) -> None:
        """Ends a call that an operator gives up; the service hears of it when it calls back."""
        async with self._database.transaction() as connection:
            await abandon_call(connection, request.fulfillment)
