"""`POST /carrier/webhook`: the carrier tells where a parcel is; docs/carrier.md describes it."""

import logging
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from api.bodies import read_body
from api.services import ServicesOf
from api.webhook import RETRY_AFTER_S
from database.tracking import record_update
from domain.errors import InvalidWebhookError

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Carrier"])

BOOKING_TIME = timedelta(minutes=2)
"""A carrier may tell of a parcel before we have recorded that it was booked."""


class Received(BaseModel):
    """What became of it: `recorded`, `ignored`, or `unknown` where the parcel is not ours."""

    received: str


@router.post(
    "/carrier/webhook",
    responses={
        400: {"description": "Not signed with one of our secrets"},
        503: {"description": "It could not be recorded yet: deliver it again"},
    },
)
async def receive_tracking(request: Request, services: ServicesOf) -> Received:
    """Records where a parcel is, and has its customer told."""
    try:
        update = services.read_tracking(await read_body(request), request.headers)
    except InvalidWebhookError as error:
        logger.warning("tracking refused: %s", error)
        raise HTTPException(400, str(error)) from error
    if update is None:
        return Received(received="ignored")
    async with services.database.transaction() as connection:
        reference = await record_update(connection, update)
    if reference is None:
        logger.warning("tracking %s is of no parcel that we know", update.event_id)
        if datetime.now(UTC) - update.at < BOOKING_TIME:
            raise HTTPException(
                503, "no such parcel, yet", headers={"Retry-After": str(RETRY_AFTER_S)}
            )
        return Received(received="unknown")
    logger.info("tracking %s: %s is %s", update.event_id, reference, update.status)
    # Also when it was recorded before: the try then may have ended here.
    await services.outbox.send_parcel_mails(reference)
    return Received(received="recorded")
