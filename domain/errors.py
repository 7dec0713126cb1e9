"""The error tree: whether trying again can help is decided where an error is understood.

    FulfillmentError
    ├── PermanentError           trying again changes nothing: a person must decide
    │   ├── SessionUnknownError  Stripe knows no such Checkout Session: nothing to fulfill
    │   ├── AddressRefusedError  the carrier does not know the address: the customer is asked
    │   ├── ReversedError        the money went back: there is nothing to deliver any more
    │   └── HeldError            the money may go back, or an operator holds the order
    └── TransientError           trying again may help
        └── MisconfiguredError   only after somebody mends a key or a setting: try slowly

Adapters and the database layer translate what vendors raise into this tree; the activity
interceptor translates the tree into Temporal's retry rules.
"""

from datetime import timedelta

REVERSED = "fulfillment_reversed"
HELD = "fulfillment_held"
HELD_BY_OPERATOR = "held_by_operator"


class FulfillmentError(Exception):
    """Base of every error that the service understands.

    Args:
        code: A short stable word for machines, for example `out_of_stock`.
        message: One sentence for the operator; holds no personal data and no secret.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class PermanentError(FulfillmentError):
    """Trying again changes nothing; the order becomes action required."""


class DataRefusedError(PermanentError):
    """The database takes no such value: whoever has sent it is to send another."""

    def __init__(self, message: str) -> None:
        super().__init__("database_refused", message)


class SessionUnknownError(PermanentError):
    """Stripe knows no such Checkout Session."""

    def __init__(self, message: str) -> None:
        super().__init__("session_unknown", message)


class AddressRefusedError(PermanentError):
    """The carrier cannot deliver to this address; another one may do."""

    def __init__(self, message: str) -> None:
        super().__init__("address_refused", message)


class ReversedError(PermanentError):
    """The money went back: there is nothing to deliver any more."""

    def __init__(self) -> None:
        super().__init__(REVERSED, "the money went back")


class HeldError(PermanentError):
    """The money may go back, or an operator holds the order: nothing is delivered meanwhile.

    Args:
        by_operator: Which of the two.
    """

    def __init__(self, *, by_operator: bool = False) -> None:
        if by_operator:
            super().__init__(HELD_BY_OPERATOR, "an operator holds this order: release it")
        else:
            super().__init__(
                HELD, "a dispute, a fraud warning or a refund without a line item: decide about it"
            )


class TransientError(FulfillmentError):
    """Trying again may help.

    Args:
        code: As for `FulfillmentError`.
        message: As for `FulfillmentError`.
        retry_after: The earliest next try, where the other side named one.
    """

    def __init__(self, code: str, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class MisconfiguredError(TransientError):
    """A key or setting is wrong: keeps trying slowly, since keys get mended."""


class InvalidWebhookError(Exception):
    """A webhook's body is not an event that one of our secrets signed; the message says why.

    Outside the tree above: nothing was asked of us that could be tried again.
    """
