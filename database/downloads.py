"""Downloads: which file may be loaded how often, until when, and how often it was."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, Integer, Text, bindparam, case, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import INTERVAL, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.tables import downloads
from domain.ids import FulfillmentRef

_FILE = bindparam("ref_file", type_=Text)
_BYTES = bindparam("asked_bytes", type_=BigInteger)
_SIZE = bindparam("file_bytes", type_=BigInteger)
_IS_FILE = (is_fulfillment(downloads), downloads.c.file == _FILE)
_OFFER = (
    insert(downloads)
    .values(expires_at=func.now() + cast(bindparam("new_lifetime", type_=Text), INTERVAL))
    .on_conflict_do_nothing()
)
_REVERSE = (
    update(downloads)
    .where(is_fulfillment(downloads))
    .values(
        allowed=downloads.c.allowed_each * bindparam("kept_pieces", type_=Integer),
        revoked_at=case(
            (bindparam("kept_pieces", type_=Integer) > 0, None),
            else_=func.coalesce(downloads.c.revoked_at, func.now()),
        ),
    )
)
_READ = select(
    downloads.c.expires_at,
    or_(downloads.c.revoked_at.is_not(None), downloads.c.expires_at <= func.now()).label("is_over"),
).where(*_IS_FILE)
_BEGIN = (
    update(downloads)
    .where(
        *_IS_FILE,
        or_(
            downloads.c.allowed.is_(None),
            downloads.c.served_bytes < cast(downloads.c.allowed, BigInteger) * _SIZE,
        ),
    )
    .values(
        served_bytes=downloads.c.served_bytes + _BYTES,
        count=downloads.c.count + case((bindparam("is_begun"), 1), else_=0),
        last_at=func.now(),
    )
    .returning(downloads.c.count)
)
_GIVE_BACK = (
    update(downloads).where(*_IS_FILE).values(served_bytes=downloads.c.served_bytes - _BYTES)
)


class OfferedDownload(BaseModel):
    """A file that was handed out."""

    model_config = ConfigDict(frozen=True)

    expires_at: datetime
    is_over: bool
    """Whether its time is over, or it was revoked."""


async def offer(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    file: str,
    *,
    days: int,
    allowed_each: int | None,
    pieces: int,
) -> datetime:
    """Lets a file be downloaded for so many days; a second time changes nothing.

    Args:
        connection: Within whose transaction.
        ref: For which fulfillment.
        file: Its name.
        days: From now on.
        allowed_each: How often the whole of it may be loaded for each piece; None: any number.
        pieces: That were bought.

    Returns:
        Until when.
    """
    row = {
        **ref.model_dump(),
        "file": file,
        "allowed": None if allowed_each is None else allowed_each * pieces,
        "allowed_each": allowed_each,
        "new_lifetime": f"P{days}D",
    }
    await connection.execute(_OFFER, row)
    expires_at: datetime = (await connection.execute(_READ, _naming(ref, file))).one().expires_at
    return expires_at


async def reverse(connection: AsyncConnection, ref: FulfillmentRef, pieces: int) -> None:
    """Allows a fulfillment's files for so many pieces; without any they are closed."""
    await connection.execute(_REVERSE, {**naming(ref), "kept_pieces": pieces})


async def read_download(
    connection: AsyncConnection, ref: FulfillmentRef, file: str
) -> OfferedDownload | None:
    """How a file stands that was handed out; None for one that was not."""
    row = (await connection.execute(_READ, _naming(ref, file))).one_or_none()
    return None if row is None else OfferedDownload.model_validate(row, from_attributes=True)


async def begin_download(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    file: str,
    *,
    wanted: int,
    size: int,
    is_begun: bool,
) -> bool:
    """Counts bytes that are about to be sent.

    Bytes and not requests count against the limit, so that a download that broke off can be
    resumed or begun anew, and no range gets around it. The last one may go over it.

    Args:
        connection: Within whose transaction.
        ref: For which fulfillment.
        file: Its name.
        wanted: Bytes that were asked for.
        size: Bytes of the whole file.
        is_begun: Whether the first byte is among them.

    Returns:
        Whether they may be sent.
    """
    values = {
        **_naming(ref, file),
        _BYTES.key: wanted,
        _SIZE.key: max(size, 1),
        "is_begun": is_begun,
    }
    return (await connection.execute(_BEGIN, values)).one_or_none() is not None


async def give_back(
    connection: AsyncConnection, ref: FulfillmentRef, file: str, unsent: int
) -> None:
    """Takes bytes off the count that were not sent after all."""
    await connection.execute(_GIVE_BACK, {**_naming(ref, file), _BYTES.key: unsent})


def _naming(ref: FulfillmentRef, file: str) -> dict[str, str]:
    return {**naming(ref), _FILE.key: file}
