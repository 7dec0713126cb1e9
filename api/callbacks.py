"""`POST /fulfillments/{call_id}`: the merchant's own service says what became of a call.

Source: the Standard Webhooks specification, "Verifying webhooks"; docs/service.md describes it to
the service's authors.
"""

import logging
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, ValidationError

from api.bodies import read_body
from api.services import Services, ServicesOf
from database.orders import read_account
from database.service_calls import record_answer
from domain.errors import InvalidWebhookError
from domain.services import CallStatus, ServiceAnswer

logger = logging.getLogger(__name__)
router = APIRouter(tags=["The merchant's service"])


class Recorded(BaseModel):
    """How the call stands."""

    status: CallStatus


@router.post(
    "/fulfillments/{call_id}",
    responses={
        400: {"description": "Not signed with one of our secrets, or for another call"},
        404: {"description": "There is no such call, or an operator has had it asked anew"},
        409: {"description": "The service has said something else before: that counts"},
        410: {"description": "An operator has given it up"},
        422: {"description": "It says nothing that can be understood"},
        503: {"description": "It is recorded, or not; either way, say it again"},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ServiceAnswer.model_json_schema()}},
        }
    },
)
async def receive_callback(
    call_id: Annotated[str, Path(max_length=100)], request: Request, services: ServicesOf
) -> Recorded:
    """Takes the service's word; the same again changes nothing, and is answered the same."""
    try:
        body = await _read_verified(call_id, request, services)
    except InvalidWebhookError as error:
        logger.warning("callback refused: %s", error)
        raise HTTPException(400, str(error)) from error
    answer = _read(body)
    async with services.database.transaction() as connection:
        call = await record_answer(connection, call_id, answer)
        if call is None:
            raise HTTPException(404, "there is no such call")
        account = await read_account(connection, call.session_id)
    logger.info("call %s: %s, recorded as %s", call_id, answer.status, call.status)
    if call.status is CallStatus.ABANDONED:
        raise HTTPException(410, "an operator has given it up")
    if call.contradicts(answer):
        raise HTTPException(409, f"it is {call.status} already")
    await services.fulfillments.wake(call.session_id, call.ref.step, account=account)
    return Recorded(status=call.status)


async def _read_verified(call_id: str, request: Request, services: Services) -> bytes:
    body = await read_body(request)
    services.verify_callback(body, request.headers)
    # The signature covers it: one call's word is not to be played to another call.
    if request.headers["webhook-id"] != call_id:
        raise InvalidWebhookError("webhook-id is to be the ID of the call")
    return body


def _read(body: bytes) -> ServiceAnswer:
    try:
        return ServiceAnswer.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        raise HTTPException(422, problems) from error
