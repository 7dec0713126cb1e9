"""The workflow that mails a parcel's news; its ID names the parcel.

It is not the order's: a parcel is under way for weeks, and an order's history is not to grow
with each of its scans. It lasts as long as the mails take.
"""

from pydantic import BaseModel, ConfigDict
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.parcels import MailParcelNewsInput, ParcelActivities
    from workflows import options

WORKFLOW = "MailParcelNews"
NEWS_SIGNAL = "parcel_news"


class MailParcelNewsRequest(BaseModel):
    """Which parcel, by its reference."""

    model_config = ConfigDict(frozen=True)

    reference: str


@workflow.defn(name=WORKFLOW)
class MailParcelNews:
    """Mails what is recorded of a parcel, until nothing is new."""

    def __init__(self) -> None:
        self._has_news = True

    @workflow.run
    async def run(self, request: MailParcelNewsRequest) -> None:
        """Raises ActivityError when the mail server stays away; the next sweep begins anew."""
        while self._has_news:
            self._has_news = False
            await workflow.execute_activity_method(
                ParcelActivities.mail_parcel_news,
                MailParcelNewsInput(reference=request.reference),
                start_to_close_timeout=options.MAIL.timeout,
                schedule_to_close_timeout=options.MAIL.give_up_after,
                heartbeat_timeout=options.MAIL.heartbeat,
                retry_policy=options.RETRY,
            )

    @workflow.signal(name=NEWS_SIGNAL, description="Something new was recorded of the parcel")
    def parcel_news(self) -> None:
        """Looks once more, after what it is doing."""
        self._has_news = True
