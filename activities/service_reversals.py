"""What the merchant's own service has delivered, and money went back for."""

from datetime import timedelta

from temporalio import activity

from activities.ports import MerchantService
from activities.progress import Progress
from activities.reversals import ReverseInput
from database.engine import Database
from database.reversals import lock_reversible, note_taken_back
from database.service_calls import abandon_call, read_call, read_parameters, read_sold
from domain.errors import PermanentError
from domain.services import CallStatus, ServiceReversal, ServiceReversalRequest

LONGEST_CALL = timedelta(minutes=2)
"""So long a try may still be asking that began before the money went back; see
`workflows.options.SERVICE`."""
_LOOK_AGAIN = timedelta(seconds=10)
_NEVER_DELIVERED = frozenset({CallStatus.FAILED, CallStatus.ABANDONED})


class ServiceReversalActivities:
    """Activities that tell the merchant's own service of reversals.

    Args:
        database: Where calls and fulfillments are recorded.
        service: Reaches the service.
    """

    def __init__(self, database: Database, service: MerchantService) -> None:
        self._database = database
        self._service = service

    @activity.defn
    async def reverse_service_call(self, request: ReverseInput) -> Progress:
        """Tells the service how many pieces are still paid for, until it says that it is done.

        What it was never asked for, or has failed, needs no word.

        Returns:
            That it waits, or nothing.

        Raises:
            PermanentError: The service is not to be told, refuses, or has failed.
            TransientError: The service cannot answer now.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            fulfillment = await lock_reversible(connection, ref)
            call = await read_call(connection, ref)
            if fulfillment.is_settled:
                return Progress()
            if call is None or call.status in _NEVER_DELIVERED:
                await note_taken_back(connection, fulfillment)
                return Progress()
            parameters = await read_parameters(connection, ref)
            sold = await read_sold(connection, ref)
        if call.status is CallStatus.ASKED and fulfillment.unchanged_for < LONGEST_CALL:
            return Progress(waiting="the service is being asked", look_again_in=_LOOK_AGAIN)
        if parameters.get("reversals", "").lower() != "true":
            raise PermanentError(
                "service_not_told",
                "take it back, or give it back, where the service keeps it, then mark_fulfilled; "
                "with webhook_reversals = true the service is told",
            )
        told = ServiceReversalRequest(
            # Another one each time that the number of pieces changes, the same for each try.
            id=f"{call.id}_{fulfillment.changed_at.timestamp() * 1_000_000:.0f}",
            timestamp=fulfillment.changed_at,
            data=ServiceReversal(
                fulfillment_id=call.id,
                session_id=ref.session_id,
                account=sold.account,
                livemode=sold.livemode,
                line_item_id=ref.line_item_id,
                quantity=fulfillment.quantity,
                quantity_kept=fulfillment.kept,
                webhook_data=parameters.get("data"),
            ),
        )
        answer = await self._service.reverse(parameters["url"], told)
        if answer.status == CallStatus.PENDING:
            return Progress(waiting="the service has the reversal in hand")
        if answer.status == CallStatus.FAILED:
            raise PermanentError(
                "service_kept", f"call {call.id}: {answer.reason or 'no reason given'}"
            )
        async with self._database.transaction() as connection:
            now = await lock_reversible(connection, ref)
            if now.reversed == fulfillment.reversed:
                if now.kept == 0:
                    # Should it call back after all, it hears that nobody waits for it.
                    await abandon_call(connection, ref)
                await note_taken_back(connection, now, delivered=answer.delivered or None)
                return Progress()
        return await self.reverse_service_call(request)
