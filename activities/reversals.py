"""Reversals: what refunds, disputes and fraud warnings take back."""

from pydantic import BaseModel, ConfigDict

from activities.ports import Reversals
from database.audit import SERVICE, STRIPE
from database.engine import Database
from database.orders import lock_order
from database.refunds import read_requests
from database.reversals import aim, has_reversals, read_paid, save_reversals
from domain.catalog import Catalog
from domain.ids import FulfillmentRef
from domain.reversals import recorded, refunded_minor


class ReverseInput(BaseModel):
    """Which fulfillment is to come to where its reversals say."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef


class Reverser:
    """Records what went back of payments, and says what that takes back.

    Args:
        database: Where orders are recorded.
        stripe: What went back.
        catalog: What it means for each fulfillment kind.
    """

    def __init__(self, database: Database, stripe: Reversals, catalog: Catalog) -> None:
        self._database = database
        self._stripe = stripe
        self._catalog = catalog

    async def heed(self, session_id: str, payment_intent_id: str, account: str | None) -> None:
        """Records all that went back of an order's payment, and where each fulfillment is to come.

        From then on nothing more is delivered than is paid for; the kinds take back the rest.

        Raises:
            PermanentError: Stripe refuses the request.
            TransientError: Stripe cannot answer now.
        """
        found = await self._stripe.of_payment(payment_intent_id, account)
        async with self._database.transaction() as connection:
            if await lock_order(connection, session_id) is None:
                return
            paid = await read_paid(connection, session_id)
            asked = {each.id: each.lines for each in await read_requests(connection, session_id)}
            await save_reversals(
                connection,
                session_id,
                [
                    recorded(each, session_id, paid.lines, asked, refunded_minor(found))
                    for each in found
                ],
            )
            await aim(connection, paid, self._catalog.reversal_policy, STRIPE)

    async def aim(self, session_id: str) -> bool:
        """Says anew where fulfillments are to come to, after what is planned has changed.

        Returns:
            Whether anything of the order's money ever went back.
        """
        async with self._database.transaction() as connection:
            if not await has_reversals(connection, session_id):
                return False
            await lock_order(connection, session_id)
            paid = await read_paid(connection, session_id)
            await aim(connection, paid, self._catalog.reversal_policy, SERVICE)
            return True
