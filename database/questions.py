"""What customers are asked about fulfillments, and what they answered: the first answer counts."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Text, and_, bindparam, case, cast, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.locks import lock_fulfillment
from database.tables import backorders, orders, questions
from domain.checkout import Address
from domain.ids import FulfillmentRef
from domain.orders import Question, StockAnswer

NEW_ADDRESS = "new_address"
"""The customer has given another address, which is the order's now."""
NO_ANSWER = "no_answer"
"""Nobody has answered in time."""
WITHDRAWN = "withdrawn"
"""It is not to be answered any more: the delivery was given up."""


class AnsweredBy(StrEnum):
    """Whose answer it is."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    DEFAULT = "default"


class AskedQuestion(BaseModel):
    """A question, and its answer if there is one."""

    model_config = ConfigDict(frozen=True)

    default_at: datetime | None
    """When the default answer counts; None for a question that waits."""
    answer: str | None
    answered_by: AnsweredBy | None


_IS_OF = is_fulfillment(questions)
_IS_OPEN = questions.c.answer.is_(None)
_ASK = insert(questions).on_conflict_do_nothing().returning(questions.c.name)
_READ = select(questions).where(_IS_OF)
_NAME = questions.c.name == bindparam("question_name")
_ANSWER = (
    update(questions)
    .where(_IS_OF, _IS_OPEN, _NAME)
    .values(
        answer=bindparam("new_answer"),
        answered_by=bindparam("new_answered_by"),
        answered_at=func.now(),
    )
    .returning(questions.c.name)
)
_TAKE_DEFAULTS = (
    update(questions)
    .where(_IS_OF, _IS_OPEN, questions.c.default_at <= func.now())
    .values(
        answer=case(
            (questions.c.name == Question.OUT_OF_STOCK, StockAnswer.REFUND), else_=NO_ANSWER
        ),
        answered_by=AnsweredBy.DEFAULT,
        answered_at=func.now(),
    )
    .returning(questions.c.name)
)
_CHOOSE = (
    update(questions)
    .where(
        _IS_OF,
        questions.c.name == Question.OUT_OF_STOCK,
        or_(
            _IS_OPEN,
            and_(
                questions.c.answer == StockAnswer.WAIT,
                bindparam("new_answer", type_=Text) == StockAnswer.REFUND,
            ),
        ),
        exists().where(is_fulfillment(backorders)),
    )
    .values(
        answer=bindparam("new_answer"),
        answered_by=bindparam("new_answered_by"),
        answered_at=func.now(),
    )
    .returning(questions.c.name)
)
_GIVE_ADDRESS = (
    update(questions)
    .where(
        _IS_OF,
        questions.c.name == Question.ADDRESS,
        or_(_IS_OPEN, questions.c.answer == NO_ANSWER),
    )
    .values(answer=NEW_ADDRESS, answered_by=AnsweredBy.CUSTOMER, answered_at=func.now())
    .returning(questions.c.name)
)
_NOTHING = cast({}, JSONB)
_WITHDRAW = (
    update(questions)
    .where(_IS_OF, _IS_OPEN)
    .values(answer=WITHDRAWN, answered_by=AnsweredBy.OPERATOR, answered_at=func.now())
)


async def ask(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    question: Question,
    default_at: datetime | None,
) -> bool:
    """Asks the customer something, once; False when it was asked before."""
    row = {**ref.model_dump(), "name": question, "default_at": default_at}
    return await connection.scalar(_ASK, row) is not None


async def read_questions(
    connection: AsyncConnection, ref: FulfillmentRef
) -> dict[Question, AskedQuestion]:
    """All that was asked about a fulfillment."""
    rows = await connection.execute(_READ, naming(ref))
    return {
        Question(row.name): AskedQuestion.model_validate(row, from_attributes=True) for row in rows
    }


async def answer(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    question: Question,
    text: str,
    by: AnsweredBy,
) -> bool:
    """Records an answer; False when there is one already."""
    values = {"question_name": question, "new_answer": text, "new_answered_by": by}
    return await connection.scalar(_ANSWER, {**naming(ref), **values}) is not None


async def choose(connection: AsyncConnection, ref: FulfillmentRef, choice: StockAnswer) -> bool:
    """Records what a customer wants who is asked to wait for stock.

    Who has chosen to wait may still choose the money back, for as long as the shipment queues.

    Returns:
        False when there is nothing to choose any more.
    """
    # What takes its stock holds this lock, so that the queue is read as it is.
    await lock_fulfillment(connection, ref)
    values = {"new_answer": choice, "new_answered_by": AnsweredBy.CUSTOMER}
    return await connection.scalar(_CHOOSE, {**naming(ref), **values}) is not None


async def give_address(
    connection: AsyncConnection, ref: FulfillmentRef, address: Address, phone: str | None
) -> bool:
    """Makes another address the order's, as its customer has asked; late is not too late.

    Args:
        connection: Within whose transaction; it must have locked the order.
        ref: Whose shipment was refused.
        address: Where it shall go.
        phone: A number for the carrier; None keeps the one that there is.

    Returns:
        False when an address was given before, or none is asked for any more.
    """
    if await connection.scalar(_GIVE_ADDRESS, naming(ref)) is None:
        return False
    await save_address(connection, ref.session_id, address, phone)
    return True


async def save_address(
    connection: AsyncConnection, session_id: str, address: Address, phone: str | None
) -> None:
    """Makes another address the order's; Checkout's does not come back.

    Args:
        connection: Within whose transaction; it must have locked the order.
        session_id: Which order.
        address: Where its parcels shall go.
        phone: A number for the carrier; None keeps the one that there is.
    """
    collected = orders.c.collected
    known = case((func.jsonb_typeof(collected) == "object", collected), else_=_NOTHING)
    await connection.execute(
        update(orders)
        .where(orders.c.session_id == session_id)
        .values(
            shipping_address=address.model_dump(),
            address_changed_at=func.now(),
            **({"collected": known.op("||")(cast({"phone": phone}, JSONB))} if phone else {}),
        )
    )


async def take_defaults(connection: AsyncConnection, ref: FulfillmentRef) -> frozenset[Question]:
    """Answers the questions that nobody answered in time; returns which these are."""
    rows = await connection.scalars(_TAKE_DEFAULTS, naming(ref))
    return frozenset(Question(name) for name in rows)


async def withdraw(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Ends what is still asked about a fulfillment."""
    await connection.execute(_WITHDRAW, naming(ref))
