"""What activities need of the outside world; `adapters` implements it, `worker.py` chooses."""

from datetime import datetime
from pathlib import Path
from typing import Protocol

from domain.checkout import CheckoutSession
from domain.mail import Email
from domain.messages import DeliveryAttempt, Message
from domain.reconciliation import ReversalPage, SoldPage
from domain.refunds import RefundRequest
from domain.reversals import ReversalObject, StripeReversal
from domain.services import ServiceAnswer, ServiceRequest, ServiceReversalRequest
from domain.shipping import BookedShipment, Rate, ShipmentRequest


class CheckoutSessions(Protocol):
    """Stripe's Checkout Sessions."""

    async def retrieve(self, session_id: str, account: str | None = None) -> CheckoutSession:
        """The session as Stripe knows it now, with all its line items.

        Args:
            session_id: Which session.
            account: The connected account that it belongs to; None for our own.

        Raises:
            SessionUnknownError: Stripe knows no such session.
            PermanentError: Stripe refuses the request.
            TransientError: Stripe cannot answer now.
        """


class SalesFeed(Protocol):
    """What Stripe has sold, page by page, the newest first.

    `account` is a connected account, None our own; `after` is the `last` of the page before.
    Every method raises PermanentError when Stripe refuses, TransientError when it cannot answer.
    """

    async def completed(self, account: str | None, since: datetime, after: str | None) -> SoldPage:
        """Completed sessions that were created since then."""

    async def events(
        self,
        account: str | None,
        since: datetime,
        after: str | None,
        *,
        undelivered_only: bool,
    ) -> SoldPage:
        """The sessions of events since then; if asked, only of those not taken everywhere."""

    async def reversals(
        self, kind: ReversalObject, account: str | None, since: datetime, after: str | None
    ) -> ReversalPage:
        """Refunds, disputes or early fraud warnings that were created since then."""

    async def accounts(self) -> list[str]:
        """All connected accounts."""


class Reversals(Protocol):
    """What went back of payments, or may: refunds, disputes and early fraud warnings at Stripe.

    `account` is a connected account, None our own. Every method raises PermanentError when Stripe
    refuses, TransientError when it cannot answer.
    """

    async def payment_of(
        self, kind: ReversalObject, object_id: str, account: str | None
    ) -> str | None:
        """The PaymentIntent that one of Stripe's objects is about; None when there is none."""

    async def session_of(self, payment_intent_id: str, account: str | None) -> str | None:
        """The Checkout Session that a PaymentIntent has paid; None when it paid none."""

    async def of_payment(
        self, payment_intent_id: str, account: str | None
    ) -> tuple[StripeReversal, ...]:
        """All that went back of a PaymentIntent, or may."""


class Refunds(Protocol):
    """Gives money back at Stripe.

    `account` is a connected account, None our own. Both raise PermanentError when Stripe refuses,
    TransientError when it cannot answer.
    """

    async def make(
        self, request: RefundRequest, payment_intent_id: str, account: str | None
    ) -> str:
        """Makes a refund, or finds that it was made before; returns its ID."""

    async def payment_of(self, session_id: str, account: str | None) -> str | None:
        """The PaymentIntent that has paid a Checkout Session; None where nothing was paid."""


class Fulfillments(Protocol):
    """Starts and wakes the workflows of sessions, and of what takes them back."""

    async def notice(
        self, kind: ReversalObject, object_id: str, *, account: str | None, again: bool
    ) -> None:
        """Has a refund, dispute or fraud warning looked at that no event told of.

        Args:
            kind: Which of Stripe's objects it is.
            object_id: Its ID.
            account: The connected account that it belongs to; None for our own.
            again: Whether also one that was looked at before. Those of others' sales are not
                recorded: once is enough for them.

        Raises:
            TransientError: Temporal did not accept it.
        """

    async def resume_reversal(
        self, kind: ReversalObject, object_id: str, *, account: str | None
    ) -> None:
        """Makes sure that the workflow of a reversal runs; one that does is left alone.

        Raises:
            TransientError: Temporal did not accept it.
        """

    async def ensure(
        self, session_id: str, *, account: str | None, wake: bool = False, reopen: bool = False
    ) -> bool:
        """Makes sure that a session's workflow runs, unless it has ended.

        Args:
            session_id: Which session.
            account: The connected account that it belongs to; None for our own.
            wake: Whether a workflow that waits for the payment is to look at once.
            reopen: Whether to look again at an order that ended unfulfilled.

        Returns:
            Whether it runs now; False when it has ended.

        Raises:
            TransientError: Temporal did not accept it.
        """

    async def resume(
        self, session_id: str, *, account: str | None, reversal_id: str | None = None
    ) -> bool:
        """Makes sure that the workflow of an open order runs.

        One that has ended by itself runs again: its order was opened after that.

        Args:
            session_id: Which order.
            account: The connected account that it belongs to; None for our own.
            reversal_id: Which of Stripe's objects is the reason to look at all deliveries again.

        Returns:
            Whether it runs now; False when an operator has ended it.

        Raises:
            TransientError: Temporal did not accept it.
        """

    async def wake(self, session_id: str, step: str, *, account: str | None) -> None:
        """Tells a session's workflow that something a step may wait for is recorded.

        Raises:
            TransientError: Temporal did not accept it.
        """


class Carrier(Protocol):
    """Who brings parcels.

    Adapters pass tests/contract/test_carriers.py.
    """

    async def find(self, reference: str) -> BookedShipment | None:
        """The shipment that was booked under a reference, if any.

        Raises:
            TransientError: The carrier cannot answer now.
        """

    async def quote(self, request: ShipmentRequest) -> tuple[Rate, ...]:
        """What the carrier offers to bring a parcel for; it books nothing.

        Raises:
            AddressRefusedError: There is no such address.
            PermanentError: The carrier refuses the parcel.
            TransientError: The carrier cannot answer now.
        """

    async def book(self, request: ShipmentRequest, rate: Rate | None) -> BookedShipment:
        """Books a parcel; the same reference again answers the same parcel.

        Args:
            request: What to bring where.
            rate: One that `quote` answered; None leaves the choice to the carrier.

        Raises:
            AddressRefusedError: There is no such address; nothing is booked.
            PermanentError: The carrier refuses the parcel; nothing is booked.
            TransientError: The carrier cannot answer now; it may have booked all the same.
        """

    async def cancel(self, shipment_id: str) -> bool:
        """Cancels a booked parcel, if the carrier does not have it yet; a second time is no error.

        Args:
            shipment_id: The carrier's own name of it.

        Returns:
            Whether it is canceled; False when it is on its way.

        Raises:
            TransientError: The carrier cannot answer now; it may have canceled all the same.
        """


class MerchantService(Protocol):
    """The merchant's own service, which fulfills what the kind `webhook` sells."""

    async def fulfill(self, url: str, request: ServiceRequest) -> ServiceAnswer:
        """Asks the service to fulfill; to ask again is to ask how far it is.

        Args:
            url: Where it is.
            request: What was bought; its ID is the same on each try.

        Raises:
            PermanentError: The service refuses the request.
            MisconfiguredError: There is no secret to sign with, or the service does not know it.
            TransientError: The service cannot answer now; it may have fulfilled all the same.
        """

    async def reverse(self, url: str, request: ServiceReversalRequest) -> ServiceAnswer:
        """Tells the service how much is still paid for; raises as `fulfill` does.

        Args:
            url: Where it is.
            request: What is to be kept; its ID is the same on each try.
        """


class AppWebhook(Protocol):
    """The merchant's own application, which hears what happens."""

    async def deliver(self, message: Message) -> DeliveryAttempt:
        """Tries once to deliver a message, and tells how that ended; it raises nothing."""


class Outbox(Protocol):
    """Has what is recorded as to be sent sent, however long that takes.

    Each starts a workflow of its own, named after what it sends: to ask twice sends once.
    All raise TransientError when Temporal did not accept it.
    """

    async def send_message(self, message_id: str) -> None:
        """Delivers a message to the merchant's own application."""

    async def send_parcel_mails(self, reference: str) -> None:
        """Mails the customer what is new about a parcel."""

    async def send_email(self, session_id: str, name: str, key: str) -> None:
        """Sends a mail of the log, unless it was sent before."""

    async def send_alerts(self) -> None:
        """Mails operators what they were not told of yet."""

    async def send_refund(self, request_id: str) -> None:
        """Has a refund made that was asked for."""


class Downloadable(Protocol):
    """The files that the kind `download` hands out."""

    def find(self, name: str) -> Path | None:
        """The file of that name; None when there is none.

        Raises:
            MisconfiguredError: No folder is set.
        """


class Mailer(Protocol):
    """Who sends mail."""

    async def send(self, email: Email) -> None:
        """Hands a mail to the mail server.

        Raises:
            PermanentError: The server refuses it, for example its recipient.
            TransientError: The server cannot take it now.
        """
