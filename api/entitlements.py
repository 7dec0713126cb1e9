"""What customers may use: asked by the merchant's own application, revoked by operators.

docs/entitlements.md shows the application's side.
"""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from api.orders import require_operator
from api.responses import UNAUTHORIZED, UNREADABLE
from api.services import ServicesOf
from database.access_log import log_checks
from database.entitlements import read_active
from domain.entitlement_tokens import ActiveEntitlement, tag
from domain.entitlements import CustomerKey, CustomerName, Entitlement

router = APIRouter(tags=["Entitlements"])
_bearer = HTTPBearer(auto_error=False, scheme_name="App", description="APP_TOKEN")

MAX_AGE_S = 60
"""How long the application may go by an answer without asking whether it still holds."""
KEYS_MAX_AGE_S = 300
_ENTITLEMENT_ID = re.compile(r"ent_[0-9a-f]{32}")
# PostgreSQL has no NUL in texts.
_Text = Annotated[str, Query(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]


class EntitlementsAnswer(BaseModel):
    """What a customer may use now, plain and as a token that our public keys verify."""

    entitlements: tuple[ActiveEntitlement, ...]
    token: str


class RevokeRequest(BaseModel):
    """Who revokes an entitlement, and why."""

    by: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=1000)
    """Why; no personal data. The merchant's application is told too."""


def _require_app(
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Lets only the merchant's application pass."""
    if services.app_token is None:
        raise HTTPException(404, "entitlement checks are off: APP_TOKEN is not set")
    given = credentials.credentials if credentials else ""
    if not secrets.compare_digest(given.encode(), services.app_token.encode()):
        raise HTTPException(401, "app token needed", {"WWW-Authenticate": "Bearer"})


def _customer(
    customer: _Text | None = None,
    client_reference_id: _Text | None = None,
    email: _Text | None = None,
) -> CustomerKey:
    """Whose entitlements are asked for."""
    given = {
        CustomerName.CUSTOMER: customer,
        CustomerName.CLIENT_REFERENCE_ID: client_reference_id,
        CustomerName.EMAIL: email,
    }
    named = [CustomerKey(name=name, value=value) for name, value in given.items() if value]
    if len(named) != 1:
        raise HTTPException(422, "name the customer by one of: " + ", ".join(given))
    return named[0]


@router.get(
    "/entitlements",
    dependencies=[Depends(_require_app)],
    response_model=EntitlementsAnswer,
    responses={
        401: {"description": "The APP_TOKEN is missing, or another one"},
        422: {"description": "It names no customer, or more than one"},
        304: {"description": "As the answer with that ETag said; its token is good still"},
        404: {"description": "No APP_TOKEN is set"},
    },
)
async def check_entitlements(
    customer: Annotated[CustomerKey, Depends(_customer)],
    services: ServicesOf,
    response: Response,
    feature: _Text | None = None,
    if_none_match: Annotated[str, Header()] = "",
) -> EntitlementsAnswer | Response:
    """What a customer may use now."""
    async with services.database.transaction() as connection:
        active = await read_active(connection, customer, feature)
        await log_checks(connection, [each.id for each in active])
    tokens = services.entitlement_tokens
    claims = tokens.claims(customer, active, datetime.now(UTC))
    caching = {"ETag": tag(claims), "Cache-Control": f"private, max-age={MAX_AGE_S}"}
    if _matches(if_none_match, caching["ETag"]):
        return Response(status_code=304, headers=caching)
    response.headers.update(caching)
    return EntitlementsAnswer(entitlements=claims.entitlements, token=tokens.sign(claims))


def _matches(if_none_match: str, etag: str) -> bool:
    """Whether a header names this tag, compared weakly.

    Source: RFC 9110, "If-None-Match".
    """
    named = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(named & {"*", etag.removeprefix("W/")})


@router.get("/.well-known/jwks.json")
async def get_keys(services: ServicesOf, response: Response) -> dict[str, list[dict[str, str]]]:
    """The public keys that verify tokens: the one that signs now first, then the older ones."""
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE_S}"
    return services.entitlement_tokens.jwks


@router.post(
    "/entitlements/{entitlement_id}/revoke",
    dependencies=[Depends(require_operator)],
    responses={
        **UNAUTHORIZED,
        **UNREADABLE,
        404: {"description": "There is no such entitlement"},
    },
)
async def revoke_entitlement(
    entitlement_id: str, request: RevokeRequest, services: ServicesOf
) -> Entitlement:
    """Ends an entitlement now, and tells the merchant's application; once revoked it stays so."""
    if not _ENTITLEMENT_ID.fullmatch(entitlement_id):
        raise HTTPException(404, "not an entitlement ID")
    revoked = await services.access.revoke(entitlement_id, by=request.by, because=request.note)
    if revoked is None:
        raise HTTPException(404, "no such entitlement")
    return revoked
