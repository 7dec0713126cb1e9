"""Downloads: files that a customer may load for a while."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.ports import Downloadable
from activities.reversals import ReverseInput
from database.downloads import offer, reverse
from database.engine import Database
from database.orders import claim_line, mark_fulfillment
from database.reversals import lock_reversible, note_taken_back
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.orders import Deliverable, DeliverableType, FulfillmentState


class OfferDownloadsInput(BaseModel):
    """Which files to hand out for which fulfillment."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    files: tuple[str, ...]
    days: int
    limit: int | None
    """How often each may be loaded, for each piece that was bought; None: any number."""


class DownloadActivities:
    """Activities on downloads.

    Args:
        database: Where downloads are recorded.
        files: The files that there are.
    """

    def __init__(self, database: Database, files: Downloadable) -> None:
        self._database = database
        self._files = files

    @activity.defn
    async def offer_downloads(self, request: OfferDownloadsInput) -> None:
        """Hands out the files and marks their fulfillment, both or neither.

        Raises:
            PermanentError: There is no such file.
            MisconfiguredError: No folder is set.
        """
        for file in request.files:
            if self._files.find(file) is None:
                raise PermanentError(
                    "file_missing", f"{file!r} is not in DOWNLOADS_FOLDER: put it there, then retry"
                )
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            delivered = [
                Deliverable(
                    type=DeliverableType.FILE,
                    value=file,
                    expires_at=await offer(
                        connection,
                        ref,
                        file,
                        days=request.days,
                        allowed_each=request.limit,
                        pieces=line.quantity,
                    ),
                )
                for file in request.files
            ]
            await mark_fulfillment(connection, ref, FulfillmentState.FULFILLED, delivered=delivered)

    @activity.defn
    async def reverse_downloads(self, request: ReverseInput) -> None:
        """Closes the files of what was refunded, or allows them less often; or opens them again."""
        async with self._database.transaction() as connection:
            fulfillment = await lock_reversible(connection, request.fulfillment)
            await reverse(connection, request.fulfillment, fulfillment.kept)
            await note_taken_back(connection, fulfillment)
