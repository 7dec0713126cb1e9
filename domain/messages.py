"""What the merchant's own application is told."""

from enum import StrEnum


class MessageType(StrEnum):
    """What a message is about: its `type` in Standard Webhooks."""

    ENTITLEMENT_GRANTED = "entitlement.granted"
    ENTITLEMENT_REVOKED = "entitlement.revoked"
    STOCK_LOW = "stock.low"


class MessageState(StrEnum):
    """How far a message came."""

    PENDING = "pending"
    """It is to be sent, or sent again."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """It was not taken after all tries; an operator can have it sent again."""
