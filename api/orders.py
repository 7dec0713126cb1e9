"""`GET /orders/{session_id}`: an order as JSON, for operators and the merchant's own systems."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.services import ServicesOf
from database.order_view import read_order
from domain.ids import is_checkout_session_id
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


@router.get("/orders/{session_id}", dependencies=[Depends(require_operator)])
async def get_order(session_id: str, services: ServicesOf) -> Order:
    """The order of a Checkout Session."""
    if not is_checkout_session_id(session_id):
        raise HTTPException(404, "not a Checkout Session ID")
    async with services.database.transaction() as connection:
        order = await read_order(connection, session_id)
    if order is None:
        raise HTTPException(404, "no order for this Checkout Session")
    return order
