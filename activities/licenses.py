"""License keys: handed out from a pool, or made for an order."""

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.reversals import ReverseInput
from database import licenses
from database.engine import Database
from database.orders import claim_line, mark_fulfillment
from database.reversals import lock_reversible, note_taken_back, want_again
from domain.errors import PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.orders import FulfillmentState


class IssueLicensesInput(BaseModel):
    """Which keys to hand out for which fulfillment; one for each piece that was bought."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    pool: str | None = None
    """From which they come; None where they are made."""
    form: str | None = None
    """How they are made: see `domain.licenses.check_format`."""
    activation_limit: int | None = None
    duration: str | None = None
    """In ISO 8601; None when they do not end by themselves."""


class LicenseActivities:
    """Activities on license keys.

    Args:
        database: Where keys are recorded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def issue_licenses(self, request: IssueLicensesInput) -> None:
        """Hands out the keys and marks their fulfillment, both or neither.

        Raises:
            PermanentError: The pool has not as many keys left.
            TransientError: It has, but another order holds some of them at this moment.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            missing = line.quantity - await licenses.count_standing(connection, ref)
            if missing > 0:
                await self._issue(connection, request, missing)
            await mark_fulfillment(
                connection,
                ref,
                FulfillmentState.FULFILLED,
                delivered=await licenses.read_issued(connection, ref),
            )

    @activity.defn
    async def reverse_licenses(self, request: ReverseInput) -> None:
        """Disables the keys of what was refunded, or enables them again.

        What a refund kept from being handed out, and is paid for after all, is delivered then.
        """
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            fulfillment = await lock_reversible(connection, ref)
            missing = await licenses.reverse(connection, ref, fulfillment.kept)
            if missing:
                await want_again(connection, fulfillment)
            await note_taken_back(
                connection, fulfillment, delivered=await licenses.read_issued(connection, ref)
            )

    async def _issue(
        self, connection: AsyncConnection, request: IssueLicensesInput, quantity: int
    ) -> None:
        if request.form is not None:
            await licenses.make_keys(
                connection,
                request.fulfillment,
                request.form,
                quantity,
                activation_limit=request.activation_limit,
                duration=request.duration,
            )
            return
        pool = request.pool or ""
        free = await licenses.count_free(connection, pool)
        is_enough = await licenses.issue_from_pool(
            connection,
            request.fulfillment,
            pool,
            quantity,
            activation_limit=request.activation_limit,
            duration=request.duration,
        )
        if is_enough:
            return
        if free >= quantity:
            raise TransientError("pool_busy", f"others are taking keys of pool {pool}")
        raise PermanentError(
            "pool_empty",
            f"pool {pool} has {free} keys left and {quantity} are wanted: import more, then retry",
        )
