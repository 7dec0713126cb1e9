"""The e-mail log of an order, for operators, and what mail providers tell of its mails.

Source of the webhook's form: the Standard Webhooks specification; docs/mails.md lists what it says.
"""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from activities.desk import EMAIL_UNKNOWN, NO_RECIPIENT, ORDER_UNKNOWN
from api.bodies import read_body
from api.order_paths import SessionId, no_order
from api.orders import require_operator
from api.responses import NO_ORDER, UNAUTHORIZED, UNREADABLE
from api.services import ServicesOf
from database.emails import (
    LoggedEmail,
    mark_problem,
    read_emails,
)
from database.orders import read_states
from domain.errors import InvalidWebhookError, PermanentError
from domain.formats import StorableText
from domain.mail import MailFate, check_address

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Mails"])
webhook_router = APIRouter(tags=["Mails"])
"""Only where MAIL_WEBHOOK_SECRETS is set."""

MAX_REASON = 500
"""Characters that are kept of what a provider says."""
_FATES = {"mail.bounced": MailFate.BOUNCED, "mail.complained": MailFate.COMPLAINED}


_STATUS = {ORDER_UNKNOWN: 404, EMAIL_UNKNOWN: 404, NO_RECIPIENT: 422}


class ResendRequest(BaseModel):
    """To whom a mail is sent again, and who wants it."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, AfterValidator(check_address)] | None = None
    """A corrected address, also of the order's later mails; by default where they go now."""
    by: StorableText = Field(default="operator", min_length=1, max_length=200)
    note: StorableText = Field(default="", max_length=1000)
    """Why; no personal data."""


class _Event(BaseModel):
    type: str


class _Told(BaseModel):
    message_id: StorableText
    reason: StorableText = ""


class _Problem(BaseModel):
    data: _Told


@router.get(
    "/orders/{session_id}/emails",
    dependencies=[Depends(require_operator)],
    responses={**UNAUTHORIZED, **NO_ORDER},
)
async def list_emails(session_id: SessionId, services: ServicesOf) -> tuple[LoggedEmail, ...]:
    """All mails of an order, the oldest first: when each was sent, and what became of it."""
    async with services.database.transaction() as connection:
        if not await read_states(connection, [session_id]):
            raise no_order()
        return await read_emails(connection, session_id)


@router.post(
    "/orders/{session_id}/emails/{name}/resend",
    status_code=202,
    dependencies=[Depends(require_operator)],
    responses={
        **UNAUTHORIZED,
        **UNREADABLE,
        404: {"description": "There is no such order, or it has no mail of that name"},
        422: {"description": "No good address"},
        503: {"description": "Not accepted now: ask again, it is not sent twice"},
    },
)
async def resend_email(
    session_id: SessionId,
    name: Annotated[str, Path(pattern=r"^[a-z_]+$")],
    services: ServicesOf,
    request: ResendRequest | None = None,
) -> LoggedEmail:
    """Sends the newest mail of that name again, as the order stands now."""
    asked = request or ResendRequest()
    try:
        return await services.desk.resend(
            session_id, name, to=asked.to, by=asked.by, note=asked.note
        )
    except PermanentError as error:
        raise HTTPException(_STATUS[error.code], error.message) from error


@webhook_router.post(
    "/mail/webhook",
    status_code=204,
    response_class=Response,
    responses={400: {"description": "Not a bounce or complaint that one of our secrets signed"}},
)
async def receive_mail_event(request: Request, services: ServicesOf) -> None:
    """Takes a bounce or a complaint; one of a mail that is not ours changes nothing."""
    try:
        body = await read_body(request)
        services.verify_mail_event(body, request.headers)
        fate = _FATES.get(_Event.model_validate_json(body).type)
        if fate is None:
            return
        told = _Problem.model_validate_json(body).data
    except InvalidWebhookError as error:
        logger.warning("mail webhook refused: %s", error)
        raise HTTPException(400, str(error)) from error
    except ValidationError as error:
        raise HTTPException(400, "the body tells of no mail") from error
    # Providers leave the angle brackets out, or keep them.
    message_id = f"<{told.message_id.strip().strip('<>')}>"
    reason = " ".join(told.reason.split())[:MAX_REASON]
    async with services.database.transaction() as connection:
        known = await mark_problem(connection, message_id, fate, reason or fate)
    logger.info("a mail has %s%s", fate, "" if known else ", which is not ours")
