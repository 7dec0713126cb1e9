"""Operations on one order: their address holds the ID of its Checkout Session."""

from typing import Annotated

from fastapi import Depends, HTTPException

from domain.ids import is_checkout_session_id


def no_order() -> HTTPException:
    """Says that there is no such order, whether or not it could be one's ID."""
    return HTTPException(404, "no order for this Checkout Session")


def _could_be_one(session_id: str) -> str:
    if not is_checkout_session_id(session_id):
        raise no_order()
    return session_id


SessionId = Annotated[str, Depends(_could_be_one)]
"""The ID in the address; what cannot be one is answered 404."""
