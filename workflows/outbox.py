"""Starts the workflows that send what is recorded as to be sent."""

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from activities.mails import SendEmailInput
from workflows.client import ACCEPT_TIMEOUT, accepted
from workflows.deliver_message import REDELIVERY_SIGNAL, DeliverMessageRequest
from workflows.deliver_message import WORKFLOW as DELIVER_MESSAGE
from workflows.mail_alerts import RECORDED_SIGNAL
from workflows.mail_alerts import WORKFLOW as MAIL_ALERTS
from workflows.parcel_news import NEWS_SIGNAL, MailParcelNewsRequest
from workflows.parcel_news import WORKFLOW as MAIL_PARCEL_NEWS
from workflows.refund_order import ID_PREFIX as REFUND_PREFIX
from workflows.refund_order import WORKFLOW as REFUND_ORDER
from workflows.refund_order import RefundOrderRequest
from workflows.send_email import WORKFLOW as SEND_EMAIL

_ID_PREFIX = {
    MAIL_ALERTS: "alerts-",
    DELIVER_MESSAGE: "message:",
    MAIL_PARCEL_NEWS: "parcel:",
    REFUND_ORDER: REFUND_PREFIX,
    SEND_EMAIL: "email-",
}
_SUMMARY = {
    MAIL_ALERTS: "Mails operators which orders need them",
    DELIVER_MESSAGE: "Tells the merchant's application of something",
    MAIL_PARCEL_NEWS: "Mails the customer what is new about a parcel",
    REFUND_ORDER: "Makes a refund at Stripe that was asked for",
    SEND_EMAIL: "Sends one mail of the log",
}


class WorkflowOutbox:
    """See `activities.ports.Outbox`.

    Args:
        client: A connection to the Temporal server.
        task_queue: Where the workers listen.
    """

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def send_message(self, message_id: str) -> None:
        """See `activities.ports.Outbox`."""
        await self._start(DELIVER_MESSAGE, message_id, DeliverMessageRequest(message_id=message_id))

    async def redeliver_message(self, message_id: str) -> None:
        """Delivers a message at once, also when it was delivered before.

        Raises:
            TransientError: Temporal did not accept it.
        """
        request = DeliverMessageRequest(message_id=message_id)
        await self._start(DELIVER_MESSAGE, message_id, request, signal=REDELIVERY_SIGNAL)

    async def send_parcel_mails(self, reference: str) -> None:
        """See `activities.ports.Outbox`."""
        request = MailParcelNewsRequest(reference=reference)
        await self._start(MAIL_PARCEL_NEWS, reference, request, signal=NEWS_SIGNAL)

    async def send_email(self, session_id: str, name: str, key: str) -> None:
        """See `activities.ports.Outbox`."""
        request = SendEmailInput(session_id=session_id, name=name, key=key)
        await self._start(SEND_EMAIL, f"{session_id}-{name}-{key}", request)

    async def send_refund(self, request_id: str) -> None:
        """See `activities.ports.Outbox`."""
        await self._start(REFUND_ORDER, request_id, RefundOrderRequest(request_id=request_id))

    async def send_alerts(self) -> None:
        """See `activities.ports.Outbox`."""
        await self._start(MAIL_ALERTS, self._task_queue, signal=RECORDED_SIGNAL)

    async def _start(
        self,
        workflow: str,
        sent: str,
        request: BaseModel | None = None,
        signal: str | None = None,
    ) -> None:
        async with accepted():
            await self._client.start_workflow(
                workflow,
                args=[] if request is None else [request],
                id=f"{_ID_PREFIX[workflow]}{sent}",
                task_queue=self._task_queue,
                # One that has ended may begin anew: the record of what is sent says whether
                # it is still to be.
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=_SUMMARY[workflow],
                start_signal=signal,
                rpc_timeout=ACCEPT_TIMEOUT,
            )
