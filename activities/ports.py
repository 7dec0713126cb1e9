"""What activities need of the outside world; `adapters` implements it, `worker.py` chooses."""

from typing import Protocol

from domain.checkout import CheckoutSession
from domain.mail import Email
from domain.shipping import BookedShipment, ShipmentRequest


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


class Carrier(Protocol):
    """Who brings parcels."""

    async def find(self, reference: str) -> BookedShipment | None:
        """The shipment that was booked under a reference, if any.

        Raises:
            TransientError: The carrier cannot answer now.
        """

    async def book(self, request: ShipmentRequest) -> BookedShipment:
        """Books a parcel; the same reference again answers the same parcel.

        Raises:
            PermanentError: The carrier refuses it, for example its address; nothing is booked.
            TransientError: The carrier cannot answer now; it may have booked all the same.
        """


class Mailer(Protocol):
    """Who sends mail."""

    async def send(self, email: Email) -> None:
        """Hands a mail to the mail server.

        Raises:
            PermanentError: The server refuses it, for example its recipient.
            TransientError: The server cannot take it now.
        """
