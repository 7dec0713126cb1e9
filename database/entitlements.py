"""Entitlements: what a customer may use."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import entitlements
from domain.ids import FulfillmentRef

_GRANT = insert(entitlements).on_conflict_do_nothing()


async def grant(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    *,
    feature: str,
    url: str,
    quantity: int,
    customer_email: str | None,
) -> None:
    """Writes the entitlement of one fulfillment; a second time changes nothing."""
    await connection.execute(
        _GRANT,
        {
            **ref.model_dump(),
            "feature": feature,
            "url": url,
            "quantity": quantity,
            "customer_email": customer_email,
        },
    )
