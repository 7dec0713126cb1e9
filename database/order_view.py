"""Reading one order whole, for pages, mails and the operator API."""

from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import and_, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from database.emails import ORIGINAL, RECEIPT
from database.keys import SAME_LINE, SESSION, of_fulfillment
from database.tables import emails, fulfillments, line_items, orders, parcels, questions
from domain.checkout import (
    Address,
    CollectedDetails,
    CustomField,
    PaymentMethod,
    QuantityOffer,
)
from domain.money import Money
from domain.orders import Fulfillment, Order, OrderLine, OrderState

_M = TypeVar("_M", bound=BaseModel)

_ORDER = (
    select(orders, emails.c.sent_at)
    .outerjoin(
        emails,
        and_(
            emails.c.session_id == orders.c.session_id,
            emails.c.name == RECEIPT,
            emails.c.key == ORIGINAL,
        ),
    )
    .where(orders.c.session_id == SESSION)
)
_QUESTION = (
    select(questions.c.name)
    .where(of_fulfillment(questions), questions.c.answer.is_(None))
    .limit(1)
    .scalar_subquery()
)
_PARCELS = (
    select(
        func.coalesce(
            func.jsonb_agg(
                aggregate_order_by(func.to_jsonb(literal_column("parcels")), parcels.c.number)
            ),
            text("'[]'::jsonb"),
            type_=JSONB,
        )
    )
    .where(of_fulfillment(parcels))
    .scalar_subquery()
)
_LINES = (
    select(
        line_items,
        fulfillments.c.kind,
        fulfillments.c.state,
        fulfillments.c.parameters,
        fulfillments.c.error,
        fulfillments.c.note,
        fulfillments.c.delivered,
        fulfillments.c.reversed,
        fulfillments.c.held,
        fulfillments.c.fulfilled_at,
        _QUESTION.label("question"),
        _PARCELS.label("parcels"),
    )
    .outerjoin(fulfillments, SAME_LINE)
    .where(line_items.c.session_id == SESSION)
    .order_by(line_items.c.position, fulfillments.c.kind)
)


async def read_order(connection: AsyncConnection, session_id: str) -> Order | None:
    """The order of a Checkout Session, or None when there is none."""
    row = (await connection.execute(_ORDER, {SESSION.key: session_id})).one_or_none()
    if row is None:
        return None

    def money(amount_minor: int | None) -> Money | None:
        return _money(amount_minor, row.currency)

    return Order(
        session_id=row.session_id,
        state=OrderState(row.state),
        error=row.error,
        error_step=row.error_step,
        mismatch=row.mismatch,
        account=row.account,
        livemode=row.livemode,
        mode=row.mode,
        payment_status=row.payment_status,
        payment_intent_id=row.payment_intent_id,
        subscription_id=row.subscription_id,
        payment_link_id=row.payment_link_id,
        payment_method=_model(PaymentMethod, row.payment_method),
        payment_method_types=row.payment_method_types,
        subtotal=money(row.amount_subtotal_minor),
        tax=money(row.amount_tax_minor),
        shipping=money(row.amount_shipping_minor),
        discount=money(row.amount_discount_minor),
        total=money(row.amount_total_minor),
        presentment=_money(row.presentment_amount_minor, row.presentment_currency),
        customer_id=row.customer_id,
        customer_email=row.customer_email,
        customer_name=row.customer_name,
        collected=_model(CollectedDetails, row.collected),
        custom_fields=tuple(CustomField.model_validate(each) for each in row.custom_fields or ()),
        locale=row.locale,
        shipping_address=_model(Address, row.shipping_address),
        client_reference_id=row.client_reference_id,
        metadata=row.stripe_metadata or {},
        # Stripe's own date; ours only where Stripe was never asked.
        created_at=row.checkout_created_at or row.created_at,
        closed_at=row.closed_at,
        receipt_sent_at=row.sent_at,
        lines=await _read_lines(connection, session_id),
    )


async def _read_lines(connection: AsyncConnection, session_id: str) -> tuple[OrderLine, ...]:
    rows = await connection.execute(_LINES, {SESSION.key: session_id})
    lines: dict[str, OrderLine] = {}
    for row in rows:
        line = lines.setdefault(
            row.line_item_id,
            OrderLine(
                id=row.line_item_id,
                description=row.description,
                quantity=row.quantity,
                quantity_offer=_model(QuantityOffer, row.quantity_offer),
                subtotal=Money(amount_minor=row.amount_subtotal_minor, currency=row.currency),
                discount=_money(row.amount_discount_minor, row.currency),
                tax=_money(row.amount_tax_minor, row.currency),
                total=Money(amount_minor=row.amount_total_minor, currency=row.currency),
                price_id=row.price_id,
                product_id=row.product_id,
                fulfillments=(),
            ),
        )
        if row.kind is None:
            continue
        fulfillment = Fulfillment.model_validate(row, from_attributes=True)
        lines[line.id] = line.model_copy(update={"fulfillments": (*line.fulfillments, fulfillment)})
    return tuple(lines.values())


def _money(amount_minor: int | None, currency: str | None) -> Money | None:
    if amount_minor is None or currency is None:
        return None
    return Money(amount_minor=amount_minor, currency=currency)


def _model(model: type[_M], value: object) -> _M | None:
    return None if value is None else model.model_validate(value)
