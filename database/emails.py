"""The e-mail log: what was or is being mailed, one row per mail.

A mail is named by its order, its name and a key. The key is empty for a mail that an order has
once, and tells the others apart.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row, and_, bindparam, case, false, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import SESSION
from database.tables import emails, fulfillments, orders
from domain.ids import FulfillmentRef
from domain.mail import About, MailFate, message_id

RECEIPT = "receipt"
PAYMENT_FAILED = "payment_failed"
DELIVERY = "delivery"
ADDRESS_NEEDED = "address_needed"
OUT_OF_STOCK = "out_of_stock"
PARCEL_IN_TRANSIT = "parcel_in_transit"
PARCEL_DELIVERED = "parcel_delivered"
PARCEL_EXCEPTION = "parcel_exception"

ORIGINAL = ""
"""The key of a mail that an order has once."""
RESEND = "resend-"
"""Begins the keys of mails that an operator sends again."""


class NewEmail(BaseModel):
    """A mail that is to be sent."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    name: str
    key: str
    message_id: str
    about: About


class LoggedEmail(NewEmail):
    """One row of the log."""

    recipient: str | None
    """None where the order has no address, and once it is erased."""
    created_at: datetime
    sent_at: datetime | None
    """When the mail server accepted it."""
    bounced_at: datetime | None
    """When its recipient's mail server refused it for good."""
    complained_at: datetime | None
    """When its recipient called it spam."""
    problem: str | None
    """Why it was not sent, or what was said of a bounce or a complaint."""


class Standing(BaseModel):
    """What became of earlier mails to an address."""

    model_config = ConfigDict(frozen=True)

    bounced: bool
    """The last one did, for good."""
    complained: bool
    """Any of them was called spam."""


_NAME = emails.c.name == bindparam("ref_name")
_KEY = emails.c.key == bindparam("ref_key")
_OF_ORDER = emails.c.session_id == SESSION
_IS_EMAIL = and_(_OF_ORDER, _NAME, _KEY)
_RESENT = emails.alias("resent")
_RECIPIENT = func.coalesce(
    # Whoever sends a mail again to another address has corrected it, for those that follow too.
    select(_RESENT.c.recipient)
    .where(
        _RESENT.c.session_id == SESSION,
        _RESENT.c.key.startswith(RESEND),
        _RESENT.c.recipient.is_not(None),
    )
    .order_by(_RESENT.c.created_at.desc())
    .limit(1)
    .scalar_subquery(),
    select(orders.c.customer_email).where(orders.c.session_id == SESSION).scalar_subquery(),
)
_READ_RECIPIENT = select(_RECIPIENT)
_INSERT = insert(emails).values(recipient=_RECIPIENT)
_CLAIM = _INSERT.on_conflict_do_update(
    index_elements=[emails.c.session_id, emails.c.name, emails.c.key],
    set_={"recipient": _INSERT.excluded.recipient},
    where=emails.c.sent_at.is_(None),
).returning(emails)
_SAVE = insert(emails).returning(emails)
_READ = select(emails).where(_IS_EMAIL).with_for_update()
_READ_ALL = select(emails).where(_OF_ORDER).order_by(emails.c.created_at, emails.c.key)
_READ_NEWEST = select(emails).where(_OF_ORDER, _NAME).order_by(emails.c.created_at.desc()).limit(1)
_COUNT_RESENT = (
    select(func.count())
    .select_from(emails)
    .where(_OF_ORDER, _NAME, emails.c.key.like(f"{RESEND}%"))
)
_MARK_SENT = update(emails).where(_IS_EMAIL).values(sent_at=func.now(), problem=None)
_MARK_UNSENT = update(emails).where(_IS_EMAIL).values(problem=bindparam("new_problem"))
_TO = func.lower(emails.c.recipient) == func.lower(bindparam("ref_recipient"))
_RECEIPT_SENT_AT = (
    select(emails.c.sent_at)
    .where(_OF_ORDER, emails.c.name == RECEIPT, emails.c.key == ORIGINAL)
    .scalar_subquery()
)
_IN_RECEIPT = select(fulfillments.c.line_item_id, fulfillments.c.kind).where(
    fulfillments.c.session_id == SESSION,
    or_(fulfillments.c.by_hand, fulfillments.c.fulfilled_at <= _RECEIPT_SENT_AT),
)
_DELIVERIES = select(emails.c.about).where(
    _OF_ORDER, emails.c.name == DELIVERY, emails.c.sent_at.is_not(None)
)
_STANDING = select(
    func.coalesce(
        select(emails.c.bounced_at.is_not(None))
        .where(_TO, emails.c.sent_at.is_not(None))
        .order_by(emails.c.sent_at.desc())
        .limit(1)
        .scalar_subquery(),
        false(),
    ).label("bounced"),
    select(emails.c.name)
    .where(_TO, emails.c.complained_at.is_not(None))
    .exists()
    .label("complained"),
)

_IS_MESSAGE = emails.c.message_id == bindparam("ref_message_id")
# Providers quote the address: what is erased stays so.
_PROBLEM = case(
    (emails.c.recipient.is_not(None), func.coalesce(emails.c.problem, bindparam("new_problem")))
)
_MARK_FATE = {
    fate: update(emails)
    .where(_IS_MESSAGE)
    .values({column: func.coalesce(column, func.now()), emails.c.problem: _PROBLEM})
    .returning(emails.c.name)
    for fate, column in (
        (MailFate.BOUNCED, emails.c.bounced_at),
        (MailFate.COMPLAINED, emails.c.complained_at),
    )
}


def _naming(session_id: str, name: str, key: str = ORIGINAL) -> dict[str, str]:
    return {SESSION.key: session_id, "ref_name": name, "ref_key": key}


def _logged(row: Row[Any] | None) -> LoggedEmail | None:
    return None if row is None else LoggedEmail.model_validate(row, from_attributes=True)


def _row(email: NewEmail) -> dict[str, Any]:
    about = email.about.model_dump(mode="json", exclude_defaults=True)
    return {**email.model_dump(exclude={"about"}), "about": about}


async def claim_email(connection: AsyncConnection, email: NewEmail) -> LoggedEmail | None:
    """Writes the row that stands before the mail is sent; None when it was sent already.

    It goes to the order's address, as last corrected.
    """
    values = {**_row(email), SESSION.key: email.session_id}
    return _logged((await connection.execute(_CLAIM, values)).one_or_none())


async def read_told(connection: AsyncConnection, session_id: str) -> tuple[FulfillmentRef, ...]:
    """The deliveries that an order's mails have told of, or a person has made.

    What was delivered before the receipt was sent counts as told in it.
    """
    rows = await connection.execute(_IN_RECEIPT, {SESSION.key: session_id})
    told = {
        FulfillmentRef(session_id=session_id, line_item_id=row.line_item_id, kind=row.kind)
        for row in rows
    }
    for about in await connection.scalars(_DELIVERIES, {SESSION.key: session_id}):
        told |= set(About.model_validate(about).fulfillments)
    return tuple(sorted(told, key=lambda ref: ref.step))


async def read_recipient(connection: AsyncConnection, session_id: str) -> str | None:
    """Where an order's mails go; None where there is no address."""
    recipient: str | None = await connection.scalar(_READ_RECIPIENT, {SESSION.key: session_id})
    return recipient


async def save_resend(
    connection: AsyncConnection, last: LoggedEmail, recipient: str, public_url: str
) -> LoggedEmail:
    """Writes the row of a mail that is to be sent again; lock the order first.

    One that is on its way there already is taken as it is: to ask twice sends once.

    Args:
        connection: Within whose transaction.
        last: The newest mail of that name.
        recipient: Where it is to go.
        public_url: Where customers reach this service.
    """
    if last.key.startswith(RESEND) and last.sent_at is None and last.recipient == recipient:
        return last
    count = await connection.scalar(_COUNT_RESENT, _naming(last.session_id, last.name))
    key = f"{RESEND}{(count or 0) + 1}"
    row = NewEmail(
        session_id=last.session_id,
        name=last.name,
        key=key,
        message_id=message_id(last.session_id, last.name, key, public_url),
        about=last.about,
    )
    saved = await connection.execute(_SAVE, {**_row(row), "recipient": recipient})
    return LoggedEmail.model_validate(saved.one(), from_attributes=True)


async def read_email(
    connection: AsyncConnection, session_id: str, name: str, key: str
) -> LoggedEmail | None:
    """One row of the log, locked until the transaction ends."""
    row = (await connection.execute(_READ, _naming(session_id, name, key))).one_or_none()
    return _logged(row)


async def read_emails(connection: AsyncConnection, session_id: str) -> tuple[LoggedEmail, ...]:
    """All mails of an order, the oldest first."""
    rows = await connection.execute(_READ_ALL, {SESSION.key: session_id})
    return tuple(LoggedEmail.model_validate(row, from_attributes=True) for row in rows)


async def read_newest_email(
    connection: AsyncConnection, session_id: str, name: str
) -> LoggedEmail | None:
    """The last mail of that name, sent or not."""
    row = (await connection.execute(_READ_NEWEST, _naming(session_id, name))).one_or_none()
    return _logged(row)


async def read_standing(connection: AsyncConnection, recipient: str) -> Standing:
    """What became of earlier mails to an address, of whichever order."""
    row = await connection.execute(_STANDING, {"ref_recipient": recipient})
    return Standing.model_validate(row.one(), from_attributes=True)


async def read_queued(
    connection: AsyncConnection, names: Iterable[str], quiet_for: timedelta, limit: int
) -> list[tuple[str, str, str]]:
    """Mails that were to be sent a while ago, and of which nothing is known since.

    Args:
        connection: Within whose transaction.
        names: Only of these names.
        quiet_for: How long ago they must have been recorded.
        limit: The most to return.

    Returns:
        Session ID, name and key of each.
    """
    rows = await connection.execute(
        select(emails.c.session_id, emails.c.name, emails.c.key)
        .where(
            emails.c.name.in_(list(names)),
            emails.c.sent_at.is_(None),
            emails.c.problem.is_(None),
            emails.c.recipient.is_not(None),
            emails.c.created_at < func.now() - quiet_for,
        )
        .order_by(emails.c.created_at)
        .limit(limit)
    )
    return [(row.session_id, row.name, row.key) for row in rows]


async def mark_email_sent(connection: AsyncConnection, email: NewEmail) -> None:
    """Records that the mail server accepted the mail."""
    await connection.execute(_MARK_SENT, _naming(email.session_id, email.name, email.key))


async def mark_email_unsent(connection: AsyncConnection, email: NewEmail, problem: str) -> None:
    """Records why a mail is not sent, for whoever reads the log; no personal data."""
    values = _naming(email.session_id, email.name, email.key)
    await connection.execute(_MARK_UNSENT, {**values, "new_problem": problem})


async def mark_problem(
    connection: AsyncConnection, message_id: str, fate: MailFate, problem: str
) -> bool:
    """Records what became of a mail that was sent, the first time it is told.

    Returns:
        Whether there is such a mail.
    """
    values = {"ref_message_id": message_id, "new_problem": problem}
    return await connection.scalar(_MARK_FATE[fate], values) is not None
