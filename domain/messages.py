"""What the merchant's own application is told, and how each try to tell it ended.

Source: the Standard Webhooks specification, "Payload structure" and "Delivery success and failure".
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict

_ID = re.compile(r"msg_[0-9a-f]{32}")


class MessageType(StrEnum):
    """What a message is about: its `type` in Standard Webhooks."""

    ENTITLEMENT_GRANTED = "entitlement.granted"
    ENTITLEMENT_REVOKED = "entitlement.revoked"
    STOCK_LOW = "stock.low"
    ORDER_ACTION_REQUIRED = "order.action_required"
    ORDER_OVERDUE = "order.overdue"


class MessageState(StrEnum):
    """How far a message came."""

    PENDING = "pending"
    """It is to be sent, or sent again."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """It was not taken after all tries; an operator can have it sent again."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class DeliveryAttempt(_Value):
    """One try to deliver a message."""

    at: datetime
    duration_ms: int
    status_code: int | None
    """None when there was no answer."""
    error: str | None = None
    """Why there was none."""
    retry_after: timedelta | None = None
    """The earliest next try, where the receiver named one."""

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the message."""
        code = self.status_code
        return code is not None and HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_last(self) -> bool:
        """Whether the receiver wants none of it any more."""
        return self.status_code == HTTPStatus.GONE


class Message(_Value):
    """What is told; its ID is the same on each try."""

    id: str
    type: str
    session_id: str | None
    """The order that it belongs to, if there is one."""
    state: MessageState
    created_at: datetime
    updated_at: datetime
    data: dict[str, Any]

    @property
    def is_erased(self) -> bool:
        """Whether what it said was erased with its customer's data: it is not sent any more."""
        return not self.data


def is_message_id(value: str) -> bool:
    """Whether a value from a URL has the form of a message's ID."""
    return _ID.fullmatch(value) is not None
