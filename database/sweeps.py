"""How far reconciliation has come, per Stripe account."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import sweeps

OWN_ACCOUNT = ""
SESSION_LIFETIME = timedelta(hours=24)
"""For so long a Checkout Session can be paid, at most."""


class Sweep(BaseModel):
    """The reach of an account's sweeps.

    Attributes:
        began_at: When the first one ran; what was sold before was somebody else's to fulfill.
        swept_until: Up to when everything that was sold is known.
    """

    model_config = ConfigDict(frozen=True)

    began_at: datetime
    swept_until: datetime


class AccountSweep(Sweep):
    """As `Sweep`, of one account in one mode."""

    account: str | None
    """None for our own."""
    livemode: bool

    @property
    def name(self) -> str:
        """How operators call it."""
        return f"{self.account or 'our own account'}{'' if self.livemode else ' (test)'}"


async def read_all(connection: AsyncConnection) -> tuple[AccountSweep, ...]:
    """What is known of all accounts."""
    rows = await connection.execute(select(sweeps).order_by(sweeps.c.account, sweeps.c.livemode))
    return tuple(
        AccountSweep(
            account=row.account or None,
            livemode=row.livemode,
            began_at=row.began_at,
            swept_until=row.swept_until,
        )
        for row in rows
    )


async def begin(
    connection: AsyncConnection, account: str | None, now: datetime, *, livemode: bool
) -> Sweep:
    """What is known of an account; the first time notes that its sweeps begin now.

    Test and live mode begin each for themselves.
    """
    names = {"livemode": livemode, "account": account or OWN_ACCOUNT}
    await connection.execute(
        insert(sweeps).values(**names, began_at=now, swept_until=now).on_conflict_do_nothing()
    )
    return await read(connection, account, livemode=livemode) or Sweep(
        began_at=now, swept_until=now
    )


async def read(connection: AsyncConnection, account: str | None, *, livemode: bool) -> Sweep | None:
    """What is known of an account; None before its first sweep."""
    row = (
        await connection.execute(select(sweeps).where(_is_account(account, livemode=livemode)))
    ).one_or_none()
    return Sweep.model_validate(row, from_attributes=True) if row else None


async def end(
    connection: AsyncConnection, account: str | None, until: datetime, *, livemode: bool
) -> None:
    """Notes that everything up to a time is known; it never goes back."""
    await connection.execute(
        update(sweeps)
        .where(_is_account(account, livemode=livemode))
        .values(swept_until=func.greatest(sweeps.c.swept_until, until))
    )


def _is_account(account: str | None, *, livemode: bool) -> ColumnElement[bool]:
    return and_(sweeps.c.livemode == livemode, sweeps.c.account == (account or OWN_ACCOUNT))


async def is_from_before_us(
    connection: AsyncConnection,
    account: str | None,
    created: datetime,
    now: datetime,
    *,
    livemode: bool,
) -> bool:
    """Whether a session was over when an account's sweeps began, or would begin now.

    Another system has fulfilled it then. Only `backfill` takes those on: anybody who kept an old
    URL, and any refund of an old order, would have it delivered again.
    """
    known = await read(connection, account, livemode=livemode)
    return created < (known.began_at if known else now) - SESSION_LIFETIME
