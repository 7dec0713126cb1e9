"""Orders as they are recorded once they are paid, without a shop and a workflow around them."""

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from database.engine import Database
from database.orders import save_checkout, save_plan
from domain.checkout import (
    Address,
    CheckoutMode,
    CheckoutSession,
    LineItem,
    Payment,
    PaymentStatus,
    SessionStatus,
)
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.orders import PlannedFulfillment
from tests.harness.shop import CUSTOMER, CUSTOMER_ADDRESS

ADDRESS = Address(name="Jo Doe", **CUSTOMER_ADDRESS)


async def record_order(
    connection: AsyncConnection,
    kind: str,
    parameters: dict[str, str],
    *,
    quantity: int = 1,
    address: Address = ADDRESS,
    description: str = "Mug <blue>",
) -> FulfillmentRef:
    """Records a paid order of one line item, which is to be delivered one way."""
    price = Money(amount_minor=1999, currency="usd")
    item_id = f"li_{uuid4().hex}"
    item = LineItem(
        id=item_id, description=description, quantity=quantity, subtotal=price, total=price
    )
    session = CheckoutSession(
        id=f"cs_test_{uuid4().hex}",
        livemode=False,
        created=datetime.now(UTC),
        mode=CheckoutMode.PAYMENT,
        status=SessionStatus.COMPLETE,
        payment_status=PaymentStatus.PAID,
        total=price,
        customer_email=str(CUSTOMER["email"]),
        shipping_address=address,
        line_items=(item,),
    )
    await save_checkout(connection, session, Payment.SETTLED)
    plan = PlannedFulfillment(line_item_id=item_id, kind=kind, parameters=parameters)
    await save_plan(connection, session.id, [plan])
    return FulfillmentRef(session_id=session.id, line_item_id=item_id, kind=kind)


async def record_shipments(
    database: Database, count: int = 1, *, quantity: int = 1, address: Address = ADDRESS
) -> list[FulfillmentRef]:
    """Records paid orders of one line item each, which is to be shipped."""
    async with database.transaction() as connection:
        return [
            await record_order(connection, "shipment", {}, quantity=quantity, address=address)
            for _ in range(count)
        ]
