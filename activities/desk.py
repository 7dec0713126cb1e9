"""What operators do to an order as a whole: mail it again, hold it, redirect it, refund it.

The workflow's updates, the API and the command line all do it here, so that each is checked,
recorded and told alike.
"""

import logging
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.ports import Fulfillments, Outbox
from activities.refunds import Refunder
from database import questions
from database.audit import record_act
from database.emails import (
    RECEIPT,
    LoggedEmail,
    read_newest_email,
    read_recipient,
    save_resend,
)
from database.engine import Database
from database.orders import lock_order, read_account, read_plan, set_hold
from database.parcels import read_parcels
from database.questions import AnsweredBy, save_address
from database.refunds import read_request
from database.reversals import read_paid
from domain.checkout import Address
from domain.errors import PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.orders import (
    LOST_STATES,
    OPEN_STATES,
    SETTLED_STATES,
    Fulfillment,
    OrderState,
    Question,
)
from domain.refunds import RefundReason, RefundRequest
from domain.storefront import SHIPPED_KIND

logger = logging.getLogger(__name__)

ORDER_UNKNOWN = "order_unknown"
EMAIL_UNKNOWN = "email_unknown"
NO_RECIPIENT = "no_recipient"
NOTHING_PAID = "nothing_paid"
NOTHING_LEFT = "nothing_left"
TOO_LATE = "too_late"
UNPAID_STATES = LOST_STATES | {OrderState.AWAITING_PAYMENT, OrderState.UNKNOWN_SESSION}
"""In these there is no money to give back."""


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True)

    session_id: str
    by: str
    note: str = ""
    """Why; no personal data."""


class ResendInput(_Input):
    """Whose receipt is sent again, and where it goes."""

    to: str | None = None


class ChangeAddressInput(_Input):
    """Where an order's parcels shall go."""

    address: Address
    phone: str | None = None


class HoldInput(_Input):
    """Whose deliveries are held back, or are no more."""

    on_hold: bool


class RefundAllInput(_Input):
    """What is canceled and refunded; the ID is the request's own, the same on each try."""

    request_id: str


class Desk:
    """Does what operators ask for.

    Args:
        database: Where orders are recorded.
        outbox: Has mails sent.
        refunder: Records refunds, and has them made.
        fulfillments: Has the workflow look again.
        public_url: Where customers reach this service.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        refunder: Refunder,
        fulfillments: Fulfillments,
        public_url: str,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._refunder = refunder
        self._fulfillments = fulfillments
        self._public_url = public_url

    async def resend(
        self, session_id: str, name: str, *, to: str | None, by: str, note: str
    ) -> LoggedEmail:
        """Sends the newest mail of that name again, as the order stands now.

        Args:
            session_id: Which order.
            name: Which mail.
            to: A corrected address, also of the order's later mails; by default where they go.
            by: Which operator.
            note: Why.

        Raises:
            PermanentError: There is no such order or mail, or no address.
            TransientError: Not accepted now: ask again, it is not sent twice.
        """
        async with self._database.transaction() as connection:
            await _lock(connection, session_id)
            last = await read_newest_email(connection, session_id, name)
            if last is None:
                raise PermanentError(EMAIL_UNKNOWN, "this order has no mail of that name")
            recipient = to or await read_recipient(connection, session_id)
            if recipient is None:
                raise PermanentError(NO_RECIPIENT, "the order has no address: name one in `to`")
            email = await save_resend(connection, last, recipient, self._public_url)
            where = "to the address in `to`" if to else "to the order's address"
            detail = f"{name} as {email.key}, {where}"
            await record_act(
                connection, session_id, act="email_resent", by=by, detail=_with(detail, note)
            )
        await self._outbox.send_email(session_id, name, email.key)
        return email

    async def change_address(
        self, session_id: str, address: Address, phone: str | None, *, by: str, note: str
    ) -> None:
        """Has what no carrier has booked yet go to another address.

        Raises:
            PermanentError: There is no such order, or nothing of it is still to be booked.
            TransientError: Temporal did not hear of it; the address is changed all the same.
        """
        async with self._database.transaction() as connection:
            state = await _lock(connection, session_id)
            unsettled = await _unsettled(connection, session_id)
            # What is planned only once it is paid may have to be shipped too.
            if state is not OrderState.AWAITING_PAYMENT and not await _is_unbooked(
                connection, unsettled
            ):
                raise PermanentError(TOO_LATE, "nothing of this order is still to be shipped")
            await save_address(connection, session_id, address, phone)
            for ref in unsettled:
                await questions.answer(
                    connection, ref, Question.ADDRESS, questions.NEW_ADDRESS, AnsweredBy.OPERATOR
                )
            # Where to stands in the order, which is erased when its customer asks for it.
            await record_act(connection, session_id, act="address_changed", by=by, detail=note)
        await self._wake(session_id, unsettled)

    async def hold(self, session_id: str, *, on_hold: bool, by: str, note: str) -> None:
        """Holds back what is not delivered yet, or delivers it after all; again is no error.

        Raises:
            PermanentError: There is no such order, or it is closed.
            TransientError: Temporal did not hear of it; what waits looks by itself later.
        """
        async with self._database.transaction() as connection:
            state = await _lock(connection, session_id)
            if on_hold and state not in OPEN_STATES:
                raise PermanentError(TOO_LATE, f"this order is {state}: nothing is to be delivered")
            if await set_hold(connection, session_id, on_hold=on_hold):
                act = "order_held" if on_hold else "order_released"
                await record_act(connection, session_id, act=act, by=by, detail=note)
            unsettled = () if on_hold else await _unsettled(connection, session_id)
        await self._wake(session_id, unsettled)

    async def refund(
        self,
        session_id: str,
        *,
        by: str,
        note: str,
        lines: dict[str, int] | None = None,
        amount_minor: int | None = None,
        reason: RefundReason | None = None,
        request_id: str | None = None,
    ) -> RefundRequest:
        """Refunds an order, or a part of it; what that takes back follows by itself.

        Args:
            session_id: Which order.
            by: Which operator.
            note: Why.
            lines: Pieces by line item; without them and without an amount, all that is left.
            amount_minor: How much, in the order's currency; by default what the pieces were
                paid. Without `lines` the customer keeps everything.
            reason: Stripe's own word for why.
            request_id: The request's ID: the same one asks for the same refund.

        Raises:
            PermanentError: There is no such order, it was not paid, or so much is not left.
            TransientError: It is not recorded: ask again.
        """
        async with self._database.transaction() as connection:
            state = await _lock(connection, session_id)
            request = await read_request(connection, request_id) if request_id else None
            if request is None:
                paid = await read_paid(connection, session_id)
                if state in UNPAID_STATES or paid.total_minor == 0:
                    raise PermanentError(NOTHING_PAID, f"this order is {state}: nothing was paid")
                try:
                    request = await self._refunder.ask(
                        connection,
                        paid,
                        by=by,
                        note=note,
                        lines=lines,
                        amount_minor=amount_minor,
                        reason=reason,
                        request_id=request_id,
                    )
                except ValueError as error:
                    raise PermanentError(NOTHING_LEFT, str(error)) from error
        try:
            await self._refunder.make(request)
        except TransientError as error:
            # It is asked for, and the next sweep has it made: who asked again would pay twice.
            logger.warning("refund %s waits for the next sweep: %s", request.id, error.message)
        return request

    async def _wake(self, session_id: str, waiting: Sequence[FulfillmentRef]) -> None:
        if not waiting:
            return
        async with self._database.transaction() as connection:
            account = await read_account(connection, session_id)
        for ref in waiting:
            await self._fulfillments.wake(session_id, ref.step, account=account)


class DeskActivities:
    """The desk, as the order's own workflow uses it.

    Args:
        desk: Does it.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @activity.defn
    async def resend_receipt(self, asked: ResendInput) -> None:
        """Sends the receipt again."""
        await self._desk.resend(
            asked.session_id, RECEIPT, to=asked.to, by=asked.by, note=asked.note
        )

    @activity.defn
    async def change_address(self, asked: ChangeAddressInput) -> None:
        """Has what no carrier has booked yet go elsewhere."""
        await self._desk.change_address(
            asked.session_id, asked.address, asked.phone, by=asked.by, note=asked.note
        )

    @activity.defn
    async def hold_order(self, asked: HoldInput) -> None:
        """Holds deliveries back, or releases them."""
        await self._desk.hold(asked.session_id, on_hold=asked.on_hold, by=asked.by, note=asked.note)

    @activity.defn
    async def refund_all(self, asked: RefundAllInput) -> str:
        """Asks for all that is left to be refunded; returns the request's ID."""
        request = await self._desk.refund(
            asked.session_id, by=asked.by, note=asked.note, request_id=asked.request_id
        )
        return request.id


async def _lock(connection: AsyncConnection, session_id: str) -> OrderState:
    state = await lock_order(connection, session_id)
    if state is None:
        raise PermanentError(ORDER_UNKNOWN, "no order for this Checkout Session")
    return state


async def _unsettled(connection: AsyncConnection, session_id: str) -> tuple[FulfillmentRef, ...]:
    def ref(item: Fulfillment) -> FulfillmentRef:
        return FulfillmentRef(session_id=session_id, line_item_id=item.line_item_id, kind=item.kind)

    plan = await read_plan(connection, session_id)
    return tuple(ref(item) for item in plan if item.state not in SETTLED_STATES)


async def _is_unbooked(connection: AsyncConnection, unsettled: Sequence[FulfillmentRef]) -> bool:
    """Whether any of these is a shipment with a parcel that no carrier knows."""
    for ref in unsettled:
        if ref.kind == SHIPPED_KIND:
            parcels = await read_parcels(connection, ref)
            if not parcels or any(parcel.is_unbooked for parcel in parcels):
                return True
    return False


def _with(detail: str, note: str) -> str:
    return f"{detail}: {note}" if note else detail
