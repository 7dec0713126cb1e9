"""The reversals of an order, for operators: what went back, and what that takes back."""

from typing import Self

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from api.order_paths import SessionId, no_order
from api.orders import require_operator
from api.responses import NO_ORDER, UNAUTHORIZED, UNREADABLE
from api.services import ServicesOf
from database.audit import record_act
from database.orders import lock_order, read_states
from database.returns import end_return, read_returns_of
from database.reversals import PaidOrder, aim, decide, read_paid, read_reversals
from database.stock import put_back
from domain.formats import StorableText
from domain.mail import About
from domain.returns import Return, ReturnState
from domain.reversal_mails import ReversalMail
from domain.reversals import Decision, Reversal, format_lines, object_of
from workflows.contract import CheckoutEvent

router = APIRouter(
    tags=["Reversals"],
    dependencies=[Depends(require_operator)],
    responses={**UNAUTHORIZED, **NO_ORDER},
)


class DecisionRequest(BaseModel):
    """What an operator says about a reversal."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision
    lines: dict[str, PositiveInt] | None = None
    """Which pieces of which line items it is about; by default those that are known."""
    by: StorableText = Field(min_length=1, max_length=200)
    note: StorableText = Field(default="", max_length=1000)
    """Why; no personal data."""

    @model_validator(mode="after")
    def _check_lines(self) -> Self:
        if self.decision is Decision.KEEP and self.lines is not None:
            raise ValueError("`keep` is about no line items")
        return self


@router.get("/orders/{session_id}/reversals")
async def list_reversals(session_id: SessionId, services: ServicesOf) -> tuple[Reversal, ...]:
    """All refunds, disputes and early fraud warnings of an order, the oldest first."""
    async with services.database.transaction() as connection:
        if not await read_states(connection, [session_id]):
            raise no_order()
        return await read_reversals(connection, session_id)


@router.get("/orders/{session_id}/returns")
async def list_returns(session_id: SessionId, services: ServicesOf) -> tuple[Return, ...]:
    """What the customer is asked to send back, the oldest first."""
    async with services.database.transaction() as connection:
        if not await read_states(connection, [session_id]):
            raise no_order()
        return await read_returns_of(connection, session_id)


class ReceivedRequest(BaseModel):
    """Who has unpacked a return."""

    model_config = ConfigDict(extra="forbid")

    by: StorableText = Field(min_length=1, max_length=200)
    restock: bool = True
    """Whether the pieces can be sold again."""
    note: StorableText = Field(default="", max_length=1000)
    """In which state they are; no personal data."""


@router.post(
    "/orders/{session_id}/returns/{return_id}/received",
    responses={
        **UNREADABLE,
        404: {"description": "This order has no such return"},
        409: {"description": "It is not asked for any more"},
    },
)
async def receive_return(
    session_id: SessionId, return_id: str, received: ReceivedRequest, services: ServicesOf
) -> Return:
    """Notes that goods are back, and puts them into stock; a second time changes nothing."""
    async with services.database.transaction() as connection:
        if await lock_order(connection, session_id) is None:
            raise no_order()
        ended = await end_return(connection, return_id, ReturnState.RECEIVED)
        if ended is None or ended[0].session_id != session_id:
            raise HTTPException(404, "this order has no such return")
        found, is_new = ended
        if found.state is not ReturnState.RECEIVED:
            raise HTTPException(409, f"this return is {found.state}")
        if is_new:
            if received.restock:
                await put_back(connection, [(found.take, found.ref)])
            await record_act(
                connection,
                session_id,
                act="return_received",
                by=received.by,
                detail=f"{return_id}, {'restocked' if received.restock else 'not restocked'}: "
                f"{received.note}",
            )
        email = await services.mail_queue.add(
            connection,
            session_id,
            ReversalMail.RETURN_RECEIVED,
            key=return_id,
            about=About(returns=(return_id,)),
        )
    await services.mail_queue.send([email])
    return found


@router.post(
    "/orders/{session_id}/reversals/{reversal_id}/decision",
    responses={
        **UNREADABLE,
        404: {"description": "There is no such order, or no such reversal of it"},
        422: {"description": "It names no pieces, or some that were not bought"},
        503: {"description": "Recorded, but Temporal did not hear of it: send it again"},
    },
)
async def decide_reversal(
    session_id: SessionId, reversal_id: str, asked: DecisionRequest, services: ServicesOf
) -> Reversal:
    """Says which pieces a reversal takes back, or that it takes back none; the last word counts."""
    async with services.database.transaction() as connection:
        if await lock_order(connection, session_id) is None:
            raise no_order()
        known = {each.id: each for each in await read_reversals(connection, session_id)}
        found = known.get(reversal_id)
        if found is None:
            raise HTTPException(404, "this order has no such reversal")
        paid = await read_paid(connection, session_id)
        lines = asked.lines or found.lines
        _check_lines(asked.decision, lines, paid)
        await decide(connection, reversal_id, asked.decision, lines)
        await record_act(
            connection,
            session_id,
            act=f"reversal_{asked.decision}",
            by=asked.by,
            detail=f"{reversal_id} ({format_lines(lines or {}) or 'no line items'}): {asked.note}",
        )
        await aim(connection, paid, services.catalog.reversal_policy, asked.by)
    await services.fulfillments.reverse(
        object_of(found.cause),
        reversal_id,
        CheckoutEvent(id="operator", type=f"reversal.{asked.decision}"),
        account=paid.account,
    )
    return found.model_copy(update={"decision": asked.decision, "lines": lines, "problem": None})


def _check_lines(decision: Decision, lines: dict[str, int] | None, paid: PaidOrder) -> None:
    if decision is Decision.KEEP:
        return
    if not lines:
        raise HTTPException(422, "say in `lines` which pieces of which line items it is about")
    bought = {line.id: line.quantity for line in paid.lines}
    for line_id, pieces in lines.items():
        if pieces > bought.get(line_id, 0):
            raise HTTPException(422, f"of line item {line_id} {bought.get(line_id, 0)} were bought")
