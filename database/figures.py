"""How the business stands, in figures, for whoever watches it."""

from pydantic import BaseModel, ConfigDict
from sqlalchemy import and_, case, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from database.tables import emails, fulfillments, orders
from domain.checkout import PaymentStatus
from domain.orders import OPEN_STATES, SETTLED_STATES, OrderState

_ENDED = frozenset({OrderState.FULFILLED, OrderState.REVERSED})
_PAID = orders.c.payment_status.in_((PaymentStatus.PAID, PaymentStatus.NO_PAYMENT_REQUIRED))
_STATES = select(
    orders.c.state,
    func.count().label("count"),
    func.count(case((_PAID, 1))).label("paid"),
).group_by(orders.c.state)
_OLDEST = select(
    func.coalesce(func.extract("epoch", func.now() - func.min(fulfillments.c.created_at)), 0)
).where(
    fulfillments.c.state.not_in(SETTLED_STATES),
    exists().where(
        and_(
            orders.c.session_id == fulfillments.c.session_id,
            orders.c.state.in_(OPEN_STATES - {OrderState.AWAITING_PAYMENT}),
        )
    ),
)
_MAILS = select(
    func.count(emails.c.bounced_at).label("bounced"),
    func.count(emails.c.complained_at).label("complained"),
    func.count(case((emails.c.sent_at.is_(None) & emails.c.problem.is_not(None), 1))).label(
        "unsent"
    ),
)


class Figures(BaseModel):
    """What is recorded of all orders."""

    model_config = ConfigDict(frozen=True)

    orders: dict[OrderState, int]
    paid: int
    fulfilled: int
    """Also those that were refunded since. It falls only where a refund of all has failed."""
    oldest_unfulfilled_s: float
    """How long ago the oldest order was paid of which something is not delivered; 0: none is."""
    failed_mails: dict[str, int]
    """By what became of them."""


async def read_figures(connection: AsyncConnection) -> Figures:
    """Counts all orders and mails; a second or so for some millions."""
    states = (await connection.execute(_STATES)).all()
    mails = (await connection.execute(_MAILS)).one()
    return Figures(
        orders=dict.fromkeys(OrderState, 0) | {row.state: row.count for row in states},
        paid=sum(row.paid for row in states),
        fulfilled=sum(row.count for row in states if row.state in _ENDED),
        oldest_unfulfilled_s=float(await connection.scalar(_OLDEST) or 0),
        failed_mails=dict(mails._mapping),  # noqa: SLF001 - public, in spite of its name
    )
