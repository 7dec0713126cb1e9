"""License keys, as the merchant's software asks about them; docs/license-keys.md shows how.

Whoever knows a key may ask: it cannot be guessed, and the answers name no customer.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, Field

from api.orders import require_operator
from api.responses import UNAUTHORIZED, UNREADABLE, Responses
from api.services import ServicesOf, count_visit
from database import licenses
from database.audit import record_act
from domain.licenses import MAX_KEY_LENGTH, License, normal_form

router = APIRouter(tags=["License keys"])

# PostgreSQL has no NUL in texts.
_Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)]
_Instance = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
_ANSWERS: Responses = {
    **UNREADABLE,
    404: {"description": "No such key"},
    429: {"description": "One address asks too often"},
}


class ValidateRequest(BaseModel):
    """Which key, and for which instance of the software."""

    key: _Key
    """Case, hyphens and spaces do not count."""
    instance: _Instance | None = None


class InstanceRequest(BaseModel):
    """Which key, and which instance of the software: a machine, an installation."""

    key: _Key
    instance: _Instance


class DisableRequest(BaseModel):
    """Which key is disabled, by whom, and why."""

    key: _Key
    by: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=1000)
    """Why; no personal data."""


def _found(found: License | None) -> License:
    if found is None:
        raise HTTPException(404, "no such license key")
    return found


@router.post("/licenses/validate", dependencies=[Depends(count_visit)], responses=_ANSWERS)
async def validate(request: ValidateRequest, services: ServicesOf) -> License:
    """What a key is good for now."""
    async with services.database.transaction() as connection:
        return _found(
            await licenses.read_license(connection, normal_form(request.key), request.instance)
        )


@router.post(
    "/licenses/activate",
    dependencies=[Depends(count_visit)],
    responses={**_ANSWERS, 409: {"model": License, "description": "Not activated: see problem"}},
)
async def activate(request: InstanceRequest, services: ServicesOf, response: Response) -> License:
    """Activates a key for an instance, within its limit; a second time changes nothing."""
    async with services.database.transaction() as connection:
        found = _found(
            await licenses.activate(connection, normal_form(request.key), request.instance)
        )
    if not found.valid:
        response.status_code = 409
    return found


@router.post("/licenses/deactivate", dependencies=[Depends(count_visit)], responses=_ANSWERS)
async def deactivate(request: InstanceRequest, services: ServicesOf) -> License:
    """Frees the place of an instance; a second time changes nothing."""
    async with services.database.transaction() as connection:
        return _found(
            await licenses.deactivate(connection, normal_form(request.key), request.instance)
        )


@router.post(
    "/licenses/disable",
    dependencies=[Depends(require_operator)],
    responses={**_ANSWERS, **UNAUTHORIZED},
)
async def disable(request: DisableRequest, services: ServicesOf) -> License:
    """Makes a key good for nothing, for operators; once disabled it stays so."""
    key = normal_form(request.key)
    async with services.database.transaction() as connection:
        session_id = await licenses.disable(connection, key)
        if session_id is not None:
            await record_act(
                connection, session_id, act="license_disabled", by=request.by, detail=request.note
            )
        return _found(await licenses.read_license(connection, key))
