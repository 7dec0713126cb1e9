"""Mails of what carriers tell of parcels."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.mails import Mails
from database.emails import PARCEL_DELIVERED, PARCEL_EXCEPTION, PARCEL_IN_TRANSIT
from database.engine import Database
from database.tracking import mark_told, read_news
from domain.errors import PermanentError
from domain.mail import About
from domain.shipping import ParcelStatus

_MAIL_OF = {
    ParcelStatus.IN_TRANSIT: PARCEL_IN_TRANSIT,
    ParcelStatus.DELIVERED: PARCEL_DELIVERED,
    ParcelStatus.EXCEPTION: PARCEL_EXCEPTION,
}


class MailParcelNewsInput(BaseModel):
    """Which parcel, by its reference."""

    model_config = ConfigDict(frozen=True)

    reference: str


class ParcelActivities:
    """Activities on parcels that are under way.

    Args:
        database: Where parcels are recorded.
        mails: Sends each mail once.
    """

    def __init__(self, database: Database, mails: Mails) -> None:
        self._database = database
        self._mails = mails

    @activity.defn
    async def mail_parcel_news(self, request: MailParcelNewsInput) -> None:
        """Mails where the parcel is, unless the customer knows.

        Only as it is now: when it was delivered before the mail of its being in transit went out,
        that one does not go out any more. Each of the mails goes out once per parcel.

        Raises:
            TransientError: The mail server cannot take it now.
        """
        async with self._database.transaction() as connection:
            news = await read_news(connection, request.reference)
        if news is None:
            return
        name = _MAIL_OF.get(news.status)
        if name is not None:
            ref = news.fulfillment
            about = About(fulfillments=(ref,), parcel=news.number)
            try:
                await self._mails.send(ref.session_id, name, key=request.reference, about=about)
            except PermanentError as error:
                # It stands in the e-mail log, unsent; the parcel comes without it.
                activity.logger.warning("%s is not mailed: %s", name, error.message)
        async with self._database.transaction() as connection:
            await mark_told(connection, news)
