"""What is recorded as to be sent, and is not being sent: the sweep starts it."""

from datetime import timedelta

from temporalio import activity

from activities.ports import Outbox
from database.emails import read_queued
from database.engine import Database
from database.messages import read_unsent
from database.refunds import read_unmade
from database.tracking import read_untold
from domain.reversal_mails import ReversalMail

QUIET = timedelta(minutes=5)
"""What is new is tried at once, unless Temporal did not accept it then."""
UNTRIED = timedelta(hours=30)
"""Longer than it takes from one try of a message to the next."""
MOST_SENT = 1_000
"""Of each kind, how many are started at once; those behind them are found by the next sweep."""


class OutboxActivities:
    """What is done on a schedule about what is to be sent.

    Args:
        database: Where it is recorded.
        outbox: Has it sent.
    """

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @activity.defn
    async def send_unsent(self) -> int:
        """Starts sending what nobody is sending; returns how much that was.

        Raises:
            TransientError: Temporal did not accept it.
        """
        async with self._database.transaction() as connection:
            messages = await read_unsent(connection, QUIET, UNTRIED, MOST_SENT)
            parcels = await read_untold(connection, QUIET, MOST_SENT)
            emails = await read_queued(connection, ReversalMail, QUIET, MOST_SENT)
            refunds = await read_unmade(connection, QUIET, MOST_SENT)
        for message_id in messages:
            await self._outbox.send_message(message_id)
        for reference in parcels:
            await self._outbox.send_parcel_mails(reference)
        for session_id, name, key in emails:
            await self._outbox.send_email(session_id, name, key)
        for request_id in refunds:
            await self._outbox.send_refund(request_id)
        return len(messages) + len(parcels) + len(emails) + len(refunds)
