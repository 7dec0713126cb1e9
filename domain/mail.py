"""Mails to customers: what one is about, in whose name it comes, and the mail itself."""

import hashlib
import re
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from domain.ids import FulfillmentRef
from domain.orders import Question
from domain.returns import Return
from domain.reversals import Reversal

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]*")
_ADDRESS = re.compile(r"[^@]+@[^@]+")
_NOT_IN_ADDRESS = frozenset('()<>[]:;,\\"')
_MAX_ADDRESS = 254
"""Characters; RFC 5321, 4.5.3.1.3, without the angle brackets."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class About(_Value):
    """Which part of an order a mail is about; all of it where nothing is named.

    Recorded with the mail, so that it can be rendered again.
    """

    fulfillments: tuple[FulfillmentRef, ...] = ()
    parcel: int | None = None
    """The number of one parcel of the one fulfillment."""
    question: Question | None = None
    """What is asked about the one fulfillment."""
    reversal: str | None = None
    """The ID of the refund or dispute."""
    returns: tuple[str, ...] = ()
    """The IDs of what is to be sent back."""


class Facts(_Value):
    """What a mail tells that does not stand in the order."""

    default_at: datetime | None = None
    """When a question is answered without the customer; None: never."""
    reversal: Reversal | None = None
    returns: tuple[Return, ...] = ()


class Branding(_Value):
    """What mails show of the shop; empty where the merchant has said nothing."""

    name: str = ""
    logo_url: str = ""
    color: str = "#1a1f36"
    """Of headings and buttons, as CSS writes it."""
    support_email: str = ""
    """Where answers go."""
    postal_address: str = ""


class Email(_Value):
    """One mail with a text and an HTML part."""

    to: str
    reply_to: str | None = None
    subject: str
    text: str
    html: str
    message_id: str
    """Made from the order and the mail's name, so that a mail sent twice can be told."""


class MailFate(StrEnum):
    """What became of a mail after the mail server had accepted it."""

    BOUNCED = "bounced"
    """Its recipient's mail server refused it for good."""
    COMPLAINED = "complained"
    """Its recipient called it spam."""


def is_address(text: str) -> bool:
    """Whether a text is one mail address and nothing else; not whether there is a mailbox."""
    return (
        len(text) <= _MAX_ADDRESS
        and _ADDRESS.fullmatch(text) is not None
        and not any(
            character in _NOT_IN_ADDRESS or character.isspace() or not character.isprintable()
            for character in text
        )
    )


def check_address(text: str) -> str:
    """Returns the address.

    Raises:
        ValueError: It is none, or more than one.
    """
    if not is_address(text):
        raise ValueError("must be one mail address")
    return text


def message_id(session_id: str, name: str, key: str, public_url: str) -> str:
    """The Message-ID of one mail, with its angle brackets; the same for ever.

    Args:
        session_id: The order.
        name: The mail's name.
        key: What tells it from others of that name; a hash stands for one that holds more than
            letters, digits, hyphens and underscores.
        public_url: Where customers reach this service; its host is the right-hand side.
    """
    if not _PLAIN_KEY.fullmatch(key):
        key = hashlib.sha256(key.encode()).hexdigest()[:32]
    names = ".".join(part for part in (session_id, name, key) if part)
    return f"<{names}@{urlsplit(public_url).hostname or 'localhost'}>"
