"""What customers are asked about fulfillments, and what they answered: the first answer counts."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.tables import questions
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


async def take_defaults(connection: AsyncConnection, ref: FulfillmentRef) -> frozenset[Question]:
    """Answers the questions that nobody answered in time; returns which these are."""
    rows = await connection.scalars(_TAKE_DEFAULTS, naming(ref))
    return frozenset(Question(name) for name in rows)


async def withdraw(connection: AsyncConnection, ref: FulfillmentRef) -> None:
    """Ends what is still asked about a fulfillment."""
    await connection.execute(_WITHDRAW, naming(ref))
