"""Refunds that this service makes: asked for by an operator or by policy, made at Stripe once."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.ports import Fulfillments, Outbox, Refunds
from database.audit import record_act
from database.engine import Database
from database.orders import lock_order
from database.refunds import (
    mark_request,
    note_refusal,
    read_request,
    read_requests,
    save_request,
)
from database.reversals import PaidOrder, read_paid, read_reversals
from domain.catalog import Catalog
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from domain.money import Money
from domain.refunds import (
    POLICY,
    REQUEST_PREFIX,
    RefundReason,
    RefundRequest,
    RefundState,
    price_of,
    refunded_pieces,
)
from domain.reversals import ReversalObject, format_lines


class RefundInput(BaseModel):
    """Which request."""

    model_config = ConfigDict(frozen=True)

    request_id: str


class GiveUpRefundInput(RefundInput):
    """Who gives it up, and why."""

    by: str
    note: str


class Refunder:
    """Records what is to be refunded.

    Args:
        outbox: Has refunds made.
        catalog: What is refunded without an operator.
    """

    def __init__(self, outbox: Outbox, catalog: Catalog) -> None:
        self._outbox = outbox
        self._catalog = catalog

    async def ask(
        self,
        connection: AsyncConnection,
        paid: PaidOrder,
        *,
        by: str,
        note: str,
        lines: dict[str, int] | None = None,
        amount_minor: int | None = None,
        reason: RefundReason | None = None,
        request_id: str | None = None,
    ) -> RefundRequest:
        """Records that a refund is to be made; lock the order first, and `make` it afterwards.

        Args:
            connection: Within whose transaction.
            paid: What was paid.
            by: Who asks: an operator, or `policy`.
            note: Why; no personal data.
            lines: Pieces by line item. Without them and without an amount it is all that is left;
                with an amount alone the customer keeps everything.
            amount_minor: How much, in the order's currency; by default what the pieces were paid.
            reason: Stripe's own word for why.
            request_id: Its ID; by default a new one.

        Raises:
            ValueError: So many pieces are not there to be refunded, or they have cost nothing.
        """
        session_id = paid.session_id
        reversals = await read_reversals(connection, session_id)
        requests = await read_requests(connection, session_id)
        refunded = refunded_pieces(reversals, requests)
        is_rest = lines is None and amount_minor is None
        if is_rest:
            if not _left(paid, refunded):
                raise ValueError("all of it is refunded, or is being refunded")
            # The money of what is only asked for goes back with this: Stripe may have refused it.
            made = [each for each in requests if each.state is not RefundState.REQUESTED]
            refunded = refunded_pieces(reversals, made)
            lines = _left(paid, refunded)
        pieces = lines or {}
        price_minor = price_of(pieces, paid.lines, refunded)
        if amount_minor is None and not is_rest:
            amount_minor = price_minor
        if amount_minor is not None and not 0 < amount_minor <= paid.total_minor:
            raise ValueError(f"the amount is between 1 and {paid.total_minor}")
        values: dict[str, Any] = {
            "id": request_id or f"{REQUEST_PREFIX}{uuid4().hex}",
            "session_id": session_id,
            "lines": pieces,
            "reason": reason,
            "by": by,
            "note": note,
        }
        amount = (
            Money(amount_minor=amount_minor, currency=paid.currency)
            if amount_minor is not None and paid.currency
            else None
        )
        request = await save_request(connection, values, amount)
        what = f"{amount.amount_minor} {amount.currency}" if amount else "all that is left"
        detail = f"{request.id}, {what} ({format_lines(pieces) or 'no line items'}): {note}"
        await record_act(connection, session_id, act="refund_requested", by=by, detail=detail)
        return request

    async def ask_by_policy(
        self, connection: AsyncConnection, ref: FulfillmentRef, error: str
    ) -> RefundRequest | None:
        """Records a refund of a line item that cannot be delivered, where the catalog says so.

        It does so once: should the refund fail, or be given up, an operator decides.

        Returns:
            What is to be made; None where an operator decides, or nothing is left to refund.
        """
        if not self._catalog.refunds.covers(error):
            return None
        paid = await read_paid(connection, ref.session_id)
        requests = await read_requests(connection, ref.session_id)
        if any(each.by == POLICY and ref.line_item_id in each.lines for each in requests):
            return None
        refunded = refunded_pieces(await read_reversals(connection, ref.session_id), requests)
        [line] = [line for line in paid.lines if line.id == ref.line_item_id]
        left = line.quantity - refunded.get(line.id, 0)
        if left <= 0 or price_of({line.id: left}, paid.lines, refunded) == 0:
            return None
        why = f"{ref.step} cannot be delivered: {error.partition(':')[0]}"
        return await self.ask(connection, paid, by=POLICY, note=why, lines={line.id: left})

    async def make(self, request: RefundRequest) -> None:
        """Has a refund made, once what is asked for is committed.

        Raises:
            TransientError: Temporal did not accept it; the next sweep has it made.
        """
        await self._outbox.send_refund(request.id)


class RefundActivities:
    """Activities on refunds that were asked for.

    Args:
        database: Where they are recorded.
        stripe: Makes them.
        fulfillments: Starts what takes back what was delivered.
    """

    def __init__(self, database: Database, stripe: Refunds, fulfillments: Fulfillments) -> None:
        self._database = database
        self._stripe = stripe
        self._fulfillments = fulfillments

    @activity.defn
    async def find_refunded_order(self, request: RefundInput) -> str:
        """The session whose money is to go back.

        Raises:
            PermanentError: Nobody has asked for it.
        """
        return (await self._read(request)).session_id

    async def _read(self, request: RefundInput) -> RefundRequest:
        async with self._database.transaction() as connection:
            found = await read_request(connection, request.request_id)
        if found is None:
            raise PermanentError("refund_unknown", "nobody has asked for such a refund")
        return found

    @activity.defn
    async def make_refund(self, request: RefundInput) -> None:
        """Makes a refund at Stripe, unless it was made or given up before.

        Raises:
            PermanentError: Stripe refuses it, or nothing was paid.
            TransientError: Stripe cannot answer now, or Temporal.
        """
        wanted = await self._read(request)
        async with self._database.transaction() as connection:
            paid = await read_paid(connection, wanted.session_id)
        refund_id = wanted.refund_id
        if wanted.state is RefundState.REQUESTED:
            refund_id = await self._make(wanted, paid)
            async with self._database.transaction() as connection:
                await lock_order(connection, wanted.session_id)
                if await mark_request(connection, wanted.id, RefundState.MADE, refund_id):
                    await record_act(
                        connection,
                        wanted.session_id,
                        act="refund_made",
                        by=wanted.by,
                        detail=f"{wanted.id} as {refund_id}",
                    )
        if refund_id is not None:
            await self._fulfillments.notice(
                ReversalObject.REFUND, refund_id, account=paid.account, again=True
            )

    async def _make(self, wanted: RefundRequest, paid: PaidOrder) -> str:
        paid_by = paid.payment_intent_id or await self._stripe.payment_of(
            paid.session_id, paid.account
        )
        if paid_by is None:
            raise PermanentError("nothing_paid", "no payment of this order can be refunded")
        try:
            return await self._stripe.make(wanted, paid_by, paid.account)
        except PermanentError:
            async with self._database.transaction() as connection:
                await note_refusal(connection, wanted)
            raise

    @activity.defn
    async def give_up_refund(self, request: GiveUpRefundInput) -> None:
        """Records that a refund is not made after all."""
        wanted = await self._read(request)
        async with self._database.transaction() as connection:
            await lock_order(connection, wanted.session_id)
            if await mark_request(connection, wanted.id, RefundState.GIVEN_UP):
                await record_act(
                    connection,
                    wanted.session_id,
                    act="refund_given_up",
                    by=request.by,
                    detail=f"{wanted.id}: {request.note}",
                )


def _left(paid: PaidOrder, refunded: Mapping[str, int]) -> dict[str, int]:
    """Pieces that are not refunded, by line item."""
    left = {line.id: line.quantity - refunded.get(line.id, 0) for line in paid.lines}
    return {line_id: pieces for line_id, pieces in left.items() if pieces > 0}
