"""Mails to customers: what was paid and delivered, and that a payment did not go through."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import Mailer
from database.emails import PAYMENT_FAILED, RECEIPT, claim_email, mark_email_sent
from database.engine import Database
from database.order_view import read_order
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.mail import Email
from domain.orders import Question
from emails.render import Renderer


class SendReceiptInput(BaseModel):
    """Whose receipt."""

    model_config = ConfigDict(frozen=True)

    session_id: str


class SendPaymentFailedInput(BaseModel):
    """Whose payment did not go through."""

    model_config = ConfigDict(frozen=True)

    session_id: str


class SendDeliveryInput(BaseModel):
    """What became ready after the receipt; the n-th such mail of the order."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    number: int
    fulfillments: tuple[FulfillmentRef, ...]


class SendQuestionInput(BaseModel):
    """What the customer is asked about which fulfillment."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    question: Question


class MailActivities:
    """Activities that mail an order's customer.

    Each mail goes out once per order. Its row in the e-mail log is committed before the mail
    server is called, and marked after it accepted. One window stays open, as SMTP has no
    idempotency key: when the worker dies after the server accepted and before the mark is
    committed, the mail goes out again, with the same Message-ID.

    Args:
        database: Where orders and the e-mail log are recorded.
        mailer: Who sends mail.
        renderer: Turns an order into a mail.
        mail_domain: The right-hand side of Message-IDs.
    """

    def __init__(
        self, database: Database, mailer: Mailer, renderer: Renderer, *, mail_domain: str
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._renderer = renderer
        self._mail_domain = mail_domain

    @activity.defn
    async def send_receipt(self, request: SendReceiptInput) -> None:
        """Mails the receipt; without a customer's address there is nothing to send."""
        await self._send(request.session_id, RECEIPT)

    @activity.defn
    async def send_payment_failed(self, request: SendPaymentFailedInput) -> None:
        """Mails that the payment did not go through, with a link to pay again."""
        await self._send(request.session_id, PAYMENT_FAILED)

    @activity.defn
    async def send_delivery(self, request: SendDeliveryInput) -> None:
        """Mails what became ready after the receipt."""
        raise NotImplementedError

    @activity.defn
    async def send_question(self, request: SendQuestionInput) -> None:
        """Mails what the customer is asked, with a signed link to answer."""
        raise NotImplementedError

    async def _send(self, session_id: str, name: str) -> None:
        message_id = f"<{session_id}.{name}@{self._mail_domain}>"
        async with self._database.transaction() as connection:
            order = await read_order(connection, session_id)
            if order is None:
                raise PermanentError("order_unknown", "the order has no record")
            if order.customer_email is None:
                return
            sent_at = await claim_email(
                connection, session_id, name, recipient=order.customer_email, message_id=message_id
            )
        if sent_at is not None:
            return
        rendered = self._renderer.render(name, order)
        await self._mailer.send(
            Email(
                to=order.customer_email,
                subject=rendered.subject,
                text=rendered.text,
                html=rendered.html,
                message_id=message_id,
            )
        )
        async with self._database.transaction() as connection:
            await mark_email_sent(connection, session_id, name)
