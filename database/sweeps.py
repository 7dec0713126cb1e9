"""How far reconciliation has come, per Stripe account."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import sweeps

OWN_ACCOUNT = ""


class Sweep(BaseModel):
    """The reach of an account's sweeps.

    Attributes:
        began_at: When the first one ran; what was sold before was somebody else's to fulfill.
        swept_until: Up to when everything that was sold is known.
    """

    model_config = ConfigDict(frozen=True)

    began_at: datetime
    swept_until: datetime


async def begin(connection: AsyncConnection, account: str | None, now: datetime) -> Sweep:
    """What is known of an account; the first time notes that its sweeps begin now."""
    key = account or OWN_ACCOUNT
    await connection.execute(
        insert(sweeps).values(account=key, began_at=now, swept_until=now).on_conflict_do_nothing()
    )
    row = (await connection.execute(select(sweeps).where(sweeps.c.account == key))).one()
    return Sweep.model_validate(row, from_attributes=True)


async def end(connection: AsyncConnection, account: str | None, until: datetime) -> None:
    """Notes that everything up to a time is known; it never goes back."""
    await connection.execute(
        update(sweeps)
        .where(sweeps.c.account == (account or OWN_ACCOUNT))
        .values(swept_until=func.greatest(sweeps.c.swept_until, until))
    )
