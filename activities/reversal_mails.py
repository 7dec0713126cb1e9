"""What customers are told of refunds, disputes and returns."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.mail_queue import MailQueue
from database.emails import read_emails
from database.engine import Database
from database.orders import lock_order
from database.returns import read_asked
from database.reversals import read_aims, read_reversals
from domain.mail import About
from domain.reversal_mails import ReversalMail, mail_about


class TellOfReversalInput(BaseModel):
    """Which order, and which of Stripe's objects told of its reversal."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    reversal_id: str


class ReversalMailActivities:
    """Activities that tell customers of reversals.

    Args:
        database: Where reversals and returns are recorded.
        queue: Takes mails.
    """

    def __init__(self, database: Database, queue: MailQueue) -> None:
        self._database = database
        self._queue = queue

    @activity.defn
    async def tell_of_reversal(self, request: TellOfReversalInput) -> None:
        """Has mailed how a reversal stands, and what is to be sent back, each once.

        Raises:
            TransientError: Temporal did not accept it.
        """
        session_id, reversal_id = request.session_id, request.reversal_id
        async with self._database.transaction() as connection:
            await lock_order(connection, session_id)
            known = {each.id: each for each in await read_reversals(connection, session_id)}
            told = {
                each.name
                for each in await read_emails(connection, session_id)
                if each.key == reversal_id and each.sent_at is not None
            }
            takes = bool(await read_aims(connection, session_id))
            mine = known.get(reversal_id)
            name = mail_about(mine, told, takes=takes) if mine is not None else None
            emails = []
            if name is not None:
                about = About(reversal=reversal_id)
                emails.append(
                    await self._queue.add(
                        connection, session_id, name, key=reversal_id, about=about
                    )
                )
            for together in await read_asked(connection, session_id):
                return_ids = tuple(each.id for each in together)
                emails.append(
                    await self._queue.add(
                        connection,
                        session_id,
                        ReversalMail.RETURN_NEEDED,
                        key=return_ids[0],
                        about=About(returns=return_ids),
                    )
                )
        await self._queue.send(emails)
