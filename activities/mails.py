"""Mails to customers: what was paid and delivered, what is asked, and what went wrong."""

import hashlib
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.ports import Mailer
from database.emails import (
    ADDRESS_NEEDED,
    DELIVERY,
    ORIGINAL,
    OUT_OF_STOCK,
    PAYMENT_FAILED,
    RECEIPT,
    LoggedEmail,
    NewEmail,
    claim_email,
    mark_email_sent,
    mark_email_unsent,
    read_email,
    read_standing,
    read_told,
)
from database.engine import Database
from database.order_view import read_order
from database.questions import read_questions
from database.returns import read_these
from database.reversals import read_reversals
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.mail import About, Email, Facts, message_id
from domain.orders import FulfillmentState, Order, Question
from emails.render import Renderer

_MAIL_OF = {Question.ADDRESS: ADDRESS_NEEDED, Question.OUT_OF_STOCK: OUT_OF_STOCK}


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True)


class SendReceiptInput(_Input):
    """Whose receipt."""

    session_id: str


class ReceiptResult(_Input):
    """What came of it."""

    told: tuple[FulfillmentRef, ...] | None = None
    """Where the receipt had been sent before, as after a workflow was lost: what the order's
    mails have told of; None where it is sent now, with all that is delivered."""


class SendPaymentFailedInput(_Input):
    """Whose payment did not go through."""

    session_id: str


class SendDeliveryInput(_Input):
    """What became ready after the receipt; the n-th such mail of the order."""

    session_id: str
    number: int
    fulfillments: tuple[FulfillmentRef, ...]


class SendQuestionInput(_Input):
    """What the customer is asked about which fulfillment."""

    fulfillment: FulfillmentRef
    question: Question


class SendEmailInput(_Input):
    """Which mail of the log."""

    session_id: str
    name: str
    key: str


@dataclass(frozen=True)
class _Ready:
    """A mail that can be rendered and sent."""

    email: LoggedEmail
    recipient: str
    order: Order
    facts: Facts
    bounced: bool
    """Whether the last mail to its recipient did."""


class Mails:
    """Mails an order's customer, each mail once.

    A mail is named by its order, its name (a folder in `emails/`) and a key that tells it from
    others of that name. Its row in the e-mail log is committed before the mail server is
    called, and marked after it accepted. One window stays open, as SMTP has no idempotency key:
    when the worker dies after the server accepted and before the mark is committed, the mail
    goes out again, with the same Message-ID.

    Any activity may use it. A parcel's mail, for example:

        about = About(fulfillments=(ref,), parcel=number)
        await mails.send(ref.session_id, PARCEL_DELIVERED, key=reference, about=about)

    Args:
        database: Where orders and the e-mail log are recorded.
        mailer: Who sends mail.
        renderer: Turns an order into a mail.
        public_url: Where customers reach this service; its host ends the Message-IDs.
        reply_to: Where answers go; None: to the sender.
    """

    def __init__(
        self,
        database: Database,
        mailer: Mailer,
        renderer: Renderer,
        *,
        public_url: str,
        reply_to: str | None = None,
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._renderer = renderer
        self._public_url = public_url
        self._reply_to = reply_to

    async def send(
        self, session_id: str, name: str, *, key: str = ORIGINAL, about: About | None = None
    ) -> bool:
        """Sends a mail to the order's customer, unless it was sent before.

        Without an address there is nothing to send. A customer who has called an earlier mail
        spam gets receipts only; the log says so.

        Args:
            session_id: Which order.
            name: Which mail.
            key: What tells it from others of that name; the same again sends nothing.
            about: Which part of the order it is about; by default all of it.

        Returns:
            False when it had been sent before.

        Raises:
            PermanentError: The last mail to this address bounced, or the mail server refuses it.
            TransientError: The mail server cannot take it now.
        """
        row = NewEmail(
            session_id=session_id,
            name=name,
            key=key,
            message_id=message_id(session_id, name, key, self._public_url),
            about=about or About(),
        )
        async with self._database.transaction() as connection:
            email = await claim_email(connection, row)
            ready = None if email is None else await _prepare(connection, email)
            if ready is not None and ready.bounced:
                await mark_email_unsent(
                    connection, row, "not sent: the last mail to this address bounced"
                )
        if ready is None:
            return email is not None
        if ready.bounced:
            raise PermanentError(
                "mail_bounced",
                "the last mail to this address bounced: send this one again to a corrected "
                f"address (POST /orders/{session_id}/emails/{name}/resend), then skip the step",
            )
        await self._hand_over(ready)
        return True

    async def send_ready(self, session_id: str) -> bool:
        """Mails what is delivered by now, where Stripe sends the receipt; see `send`."""
        async with self._database.transaction() as connection:
            order = await _read(connection, session_id)
        delivered = tuple(
            FulfillmentRef(session_id=session_id, line_item_id=line.id, kind=item.kind)
            for line in order.lines
            for item in line.fulfillments
            if item.state is FulfillmentState.FULFILLED
        )
        if not delivered:
            return True
        return await self.send(session_id, DELIVERY, about=About(fulfillments=delivered))

    async def told(self, session_id: str) -> tuple[FulfillmentRef, ...]:
        """The deliveries that an order's mails have told of, or a person has made."""
        async with self._database.transaction() as connection:
            return await read_told(connection, session_id)

    async def send_again(self, session_id: str, name: str, key: str) -> None:
        """Sends a mail that an operator has put into the log, unless it was sent before.

        It goes to the address in its row, also when an earlier one to it bounced. To one who
        has called a mail spam goes only a receipt.

        Raises:
            PermanentError: There is no such mail, or the mail server refuses it.
            TransientError: The mail server cannot take it now.
        """
        async with self._database.transaction() as connection:
            email = await read_email(connection, session_id, name, key)
            if email is None:
                raise PermanentError("email_unknown", "the log has no such mail")
            ready = None if email.sent_at else await _prepare(connection, email)
        if ready is not None:
            await self._hand_over(ready)

    async def _hand_over(self, ready: _Ready) -> None:
        email = ready.email
        rendered = self._renderer.render(email.name, ready.order, email.about, ready.facts)
        try:
            await self._mailer.send(
                Email(
                    to=ready.recipient,
                    reply_to=self._reply_to,
                    subject=rendered.subject,
                    text=rendered.text,
                    html=rendered.html,
                    message_id=email.message_id,
                )
            )
        except PermanentError as error:
            async with self._database.transaction() as connection:
                await mark_email_unsent(connection, email, f"not sent: {error.message}")
            raise
        async with self._database.transaction() as connection:
            await mark_email_sent(connection, email)


async def _prepare(connection: AsyncConnection, email: LoggedEmail) -> _Ready | None:
    """Reads what sending a mail needs; None when it is not to be sent."""
    if email.recipient is None:
        return None
    standing = await read_standing(connection, email.recipient)
    if standing.complained and email.name != RECEIPT:
        await mark_email_unsent(
            connection, email, "not sent: the recipient has called an earlier mail spam"
        )
        return None
    return _Ready(
        email=email,
        recipient=email.recipient,
        order=await _read(connection, email.session_id),
        facts=await _facts(connection, email),
        bounced=standing.bounced,
    )


async def _read(connection: AsyncConnection, session_id: str) -> Order:
    order = await read_order(connection, session_id)
    if order is None:
        raise PermanentError("order_unknown", "the order has no record")
    return order


async def _facts(connection: AsyncConnection, email: LoggedEmail) -> Facts:
    about = email.about
    default_at = None
    if about.question is not None:
        asked = await read_questions(connection, about.fulfillments[0])
        default_at = asked[about.question].default_at if about.question in asked else None
    reversals = await read_reversals(connection, email.session_id) if about.reversal else ()
    return Facts(
        default_at=default_at,
        reversal=next((each for each in reversals if each.id == about.reversal), None),
        returns=await read_these(connection, about.returns) if about.returns else (),
    )


class MailActivities:
    """Activities that mail an order's customer.

    Args:
        mails: Sends each mail once.
        sends_receipts: Whether receipts are ours to send; Stripe can be set to send its own.
    """

    def __init__(self, mails: Mails, *, sends_receipts: bool) -> None:
        self._mails = mails
        self._sends_receipts = sends_receipts

    @activity.defn
    async def send_receipt(self, request: SendReceiptInput) -> ReceiptResult | None:
        """Mails the receipt, with all that is ready by now; says so where it was mailed before.

        Releases before this one answered nothing.
        """
        if self._sends_receipts:
            sent = await self._mails.send(request.session_id, RECEIPT)
        else:
            sent = await self._mails.send_ready(request.session_id)
        return None if sent else ReceiptResult(told=await self._mails.told(request.session_id))

    @activity.defn
    async def send_payment_failed(self, request: SendPaymentFailedInput) -> None:
        """Mails that the payment did not go through, with a link to pay again."""
        await self._mails.send(request.session_id, PAYMENT_FAILED)

    @activity.defn
    async def send_delivery(self, request: SendDeliveryInput) -> None:
        """Mails what became ready after the receipt."""
        # Named by what it tells of: a workflow that takes an order over counts from one again.
        told = " ".join(sorted(ref.step for ref in request.fulfillments))
        await self._mails.send(
            request.session_id,
            DELIVERY,
            key=hashlib.sha256(told.encode()).hexdigest()[:32],
            about=About(fulfillments=request.fulfillments),
        )

    @activity.defn
    async def send_question(self, request: SendQuestionInput) -> None:
        """Mails what the customer is asked, with a signed link to answer."""
        ref = request.fulfillment
        await self._mails.send(
            ref.session_id,
            _MAIL_OF[request.question],
            key=ref.step,
            about=About(fulfillments=(ref,), question=request.question),
        )

    @activity.defn
    async def send_email(self, request: SendEmailInput) -> None:
        """Sends a mail of the log again, as an operator has asked."""
        await self._mails.send_again(request.session_id, request.name, request.key)
