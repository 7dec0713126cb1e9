"""`GET /orders/{session_id}`: an order as JSON, for operators and the merchant's own systems."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.order_paths import SessionId, no_order
from api.responses import NO_ORDER, UNAUTHORIZED
from api.services import ServicesOf
from database.order_view import read_order
from domain.orders import Order

router = APIRouter(tags=["Orders"])
_bearer = HTTPBearer(auto_error=False, description="OPERATOR_TOKEN")


def require_operator(
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Lets only those pass who know the operator token."""
    given = credentials.credentials if credentials else ""
    if not secrets.compare_digest(given.encode(), services.operator_token.encode()):
        raise HTTPException(401, "operator token needed", {"WWW-Authenticate": "Bearer"})


@router.get(
    "/orders/{session_id}",
    dependencies=[Depends(require_operator)],
    responses={**UNAUTHORIZED, **NO_ORDER},
)
async def get_order(session_id: SessionId, services: ServicesOf) -> Order:
    """The order of a Checkout Session."""
    async with services.database.transaction() as connection:
        order = await read_order(connection, session_id)
    if order is None:
        raise no_order()
    return order
