"""The workflow that fulfills one Checkout Session; its ID is the session's.

    payment ──► each line item, each kind ──► receipt ──► close
                (side by side)

`payment` asks Stripe, and waits as long as a delayed payment takes; one that fails is told to
the customer, with a link to pay again. The receipt goes out when
every line item is delivered or waits for a person, so that one stuck parcel keeps no customer
from the rest. The workflow ends when every step is settled.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.desk import (
        ChangeAddressInput,
        DeskActivities,
        HoldInput,
        RefundAllInput,
        ResendInput,
    )
    from activities.mails import (
        MailActivities,
        SendDeliveryInput,
        SendPaymentFailedInput,
        SendReceiptInput,
    )
    from activities.orders import (
        CloseOrderInput,
        OrderActivities,
        OrderSnapshot,
        RefreshOrderInput,
        SyncOrderInput,
    )
    from domain.catalog import UNASSIGNED
    from domain.checkout import Payment
    from domain.ids import FulfillmentRef, is_livemode_session
    from domain.orders import (
        CLOSED_STATES,
        LOST_STATES,
        SETTLED_STATES,
        Fulfillment,
        FulfillmentState,
        OrderState,
        PlannedFulfillment,
    )
    from domain.refunds import REQUEST_PREFIX
    from workflows import options, search
    from workflows.contract import (
        EVENT_SIGNAL,
        NEWS_SIGNAL,
        REVERSAL_SIGNAL,
        WORKFLOW,
        ChangeAddressRequest,
        CheckoutEvent,
        FulfillCheckoutInput,
        FulfillmentNews,
        FulfillmentResult,
        FulfillmentSummary,
        OperatorRequest,
        ReasonedRequest,
        ResendReceiptRequest,
        ReversalRecorded,
    )
    from workflows.fulfillment.kind import FulfillmentKind
    from workflows.fulfillment.registry import KINDS
    from workflows.operated import OperatedWorkflow
    from workflows.steps import (
        Step,
        StepParkedError,
        StepReversedError,
        Steps,
        StepState,
        Verdict,
    )

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
_RETRY_OR_SKIP = frozenset({Verdict.RETRY, Verdict.SKIP})
_ANY_VERDICT = frozenset(Verdict)
_SETTLED_AS = {
    StepState.DONE: FulfillmentState.FULFILLED,
    StepState.SKIPPED: FulfillmentState.SKIPPED,
    StepState.REVERSED: FulfillmentState.REVERSED,
}


@workflow.defn(name=WORKFLOW)
class FulfillCheckout(OperatedWorkflow):
    """Fulfills one Checkout Session exactly once, however often it is asked to."""

    @workflow.init
    def __init__(self, request: FulfillCheckoutInput) -> None:
        self._session_id = request.session_id
        self._account = request.account
        self._searchable = request.searchable
        self._steps = Steps(request.session_id, self._make_searchable)
        self._known: OrderSnapshot | None = None
        self._shown: dict[SearchAttributeKey[Any], Any] = {}
        self._events = 0
        self._events_seen = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._fulfillments: dict[FulfillmentRef, FulfillmentState] = {}
        self._reversals = 0
        self._reversals_seen = 0
        self._told: set[FulfillmentRef] = set()

    @workflow.run
    async def run(self, request: FulfillCheckoutInput) -> FulfillmentResult:  # noqa: ARG002 - read by __init__
        """Runs until every step is settled, or the session turns out not to be paid."""
        while True:
            result = await self._run()
            await workflow.wait_condition(workflow.all_handlers_finished)
            # A payment may come while the order of a lost one is closed, or an update is answered.
            is_late = result.state in LOST_STATES and self._has_new_event()
            if not is_late or not workflow.patched("heeds-late-payments"):
                break
        self._make_searchable(result.state)
        return result

    async def _run(self) -> FulfillmentResult:
        payment = self._steps.add("payment", None, _RETRY_OR_SKIP, self._has_new_event)
        telling: asyncio.Task[StepState] | None = None
        while True:
            snapshot = await self._steps.complete(payment, self._await_payment)
            if snapshot is None and not self._has_new_event():
                await self._close(OrderState.PAYMENT_FAILED)
                return self._result(OrderState.PAYMENT_FAILED)
            if snapshot is not None and snapshot.state is not OrderState.PAYMENT_FAILED:
                break
            if snapshot is not None:
                telling = telling or self._tell_of_failure()
                # A later attempt may succeed while the mail is tried, or waits for an operator.
                await workflow.wait_condition(partial(self._is_told, telling))
                if not self._has_new_event():
                    break
        while True:
            self._fulfillments = {self._ref(item): item.state for item in snapshot.fulfillments}
            if snapshot.state in CLOSED_STATES:
                return self._result(snapshot.state)
            await self._deliver(snapshot)
            ended = await self._close(OrderState.FULFILLED)
            if ended is not None:
                return self._result(ended)
            # A reversal was undone before the order was closed: there is more to deliver.
            snapshot = await self._look_again()

    @workflow.signal(name=EVENT_SIGNAL, description="Stripe sent an event about this session")
    def checkout_event_received(self, event: CheckoutEvent) -> None:
        """Looks at the session again, if its payment is still being waited for."""
        workflow.logger.info("event %s (%s)", event.id, event.type)
        self._events += 1

    @workflow.signal(name=NEWS_SIGNAL, description="Something a step waits for was recorded")
    def fulfillment_news(self, news: FulfillmentNews) -> None:
        """Looks at a step again, if it waits for somebody's word."""
        self._steps.hear(news.step)

    @workflow.signal(name=REVERSAL_SIGNAL, description="Money went back, or came again")
    def reversal_recorded(self, reversal: ReversalRecorded) -> None:
        """Looks at every delivery again: it may be over, held, or wanted once more."""
        workflow.logger.info("reversal %s", reversal.id)
        self._reversals += 1
        self._steps.hear_all()

    @workflow.update(description="Send the receipt again; `to`: a corrected mail address")
    async def resend_receipt(self, asked: ResendReceiptRequest) -> None:
        """Sends the receipt again, once there is one."""
        request = ResendInput(
            session_id=self._session_id, by=asked.by, note=asked.reason, to=asked.to
        )
        await self._at_desk(DeskActivities.resend_receipt, request)

    @workflow.update(description="Have what is not booked yet go to another address")
    async def change_address(self, asked: ChangeAddressRequest) -> None:
        """Changes where parcels go that no carrier has booked yet."""
        request = ChangeAddressInput(
            session_id=self._session_id,
            by=asked.by,
            note=asked.reason,
            address=asked.address,
            phone=asked.phone,
        )
        await self._at_desk(DeskActivities.change_address, request)

    @workflow.update(description="Deliver nothing more until it is released; needs a reason")
    async def hold(self, asked: ReasonedRequest) -> None:
        """Holds back what is not delivered yet."""
        await self._hold(asked, on_hold=True)

    @workflow.update(description="Deliver after all what was held back by `hold`")
    async def release(self, asked: OperatorRequest) -> None:
        """Ends a hold."""
        await self._hold(asked, on_hold=False)

    @workflow.update(description="Refund all that is left and take it back; needs a reason")
    async def cancel_and_refund(self, asked: ReasonedRequest) -> str:
        """Refunds the order, and answers the request's ID."""
        request = RefundAllInput(
            session_id=self._session_id,
            by=asked.by,
            note=asked.reason,
            request_id=f"{REQUEST_PREFIX}{workflow.uuid4().hex}",
        )
        return await self._at_desk(DeskActivities.refund_all, request)

    async def _hold(self, asked: OperatorRequest, *, on_hold: bool) -> None:
        request = HoldInput(
            session_id=self._session_id, by=asked.by, note=asked.reason, on_hold=on_hold
        )
        await self._at_desk(DeskActivities.hold_order, request)

    async def _at_desk(
        self, act: Callable[[Any, _Request], Awaitable[_Answer]], request: _Request
    ) -> _Answer:
        """Does what an operator asks for; it fails where that cannot be."""
        try:
            return await workflow.execute_activity_method(
                act,
                request,
                start_to_close_timeout=options.DESK.timeout,
                schedule_to_close_timeout=options.DESK.give_up_after,
                retry_policy=options.RETRY,
                summary="an operator",
            )
        except ActivityError as error:
            cause = error.cause or error
            raise ApplicationError(
                str(cause), type=cause.type if isinstance(cause, ApplicationError) else None
            ) from error

    def _make_searchable(self, ended: OrderState | None = None) -> None:
        """Shows operators where the order stands: once it does not go straight through, and then.

        Each change costs an event, so that an order that does has one in all.
        """
        if not self._searchable:
            return
        slow = self._steps.any_in(StepState.WAITING, StepState.RETRYING)
        if not (ended or self._shown or slow or self._steps.needs_operator):
            return
        known = self._known
        total = known.total if known else None
        values: dict[SearchAttributeKey[Any], Any] = {
            search.ORDER_STATE: ended or self._state(),
            search.NEEDS_ATTENTION: self._steps.needs_operator,
            search.LIVEMODE: is_livemode_session(self._session_id),
            search.ACCOUNT: self._account,
            search.PAYMENT_STATE: known.payment if known else None,
            search.AMOUNT_MINOR: total.amount_minor if total else None,
            search.CURRENCY: total.currency if total else None,
            search.CREATED: known.created_at if known else None,
        }
        changed = {
            key: value
            for key, value in values.items()
            if value is not None and self._shown.get(key) != value
        }
        if changed:
            self._shown |= changed
            workflow.upsert_search_attributes(
                [key.value_set(value) for key, value in changed.items()]
            )

    def _state(self) -> OrderState:
        """Where the order stands; its record says the same, but for a moment."""
        if self._steps.any_in(StepState.ACTION_REQUIRED, StepState.ALARM):
            return OrderState.ACTION_REQUIRED
        if self._known is None or self._known.payment is not Payment.SETTLED:
            return OrderState.AWAITING_PAYMENT
        states = {step.state for step in self._steps.deliveries()}
        if StepState.DONE in states and states - _SETTLED_AS.keys():
            return OrderState.PARTIALLY_FULFILLED
        return OrderState.FULFILLING

    async def _deliver(self, snapshot: OrderSnapshot) -> None:
        """Delivers every line item, and mails the receipt, until all of it is settled."""
        for item in snapshot.fulfillments:
            if item.state not in SETTLED_STATES:
                self._start(item)
        await self._deliveries_settled()
        if self._fulfillments:
            receipt = self._steps.add("receipt", None, _RETRY_OR_SKIP)
            self._told = set(self._fulfilled())
            mailing = asyncio.create_task(self._steps.settle(receipt, self._send_receipt))
            self._tasks.append(mailing)
            self._tasks.append(asyncio.create_task(self._tell_of_late_ones(mailing)))
        while True:
            # A task raises for a defect only, which fails the workflow task, where Temporal shows
            # it, and never the workflow.
            await workflow.wait_condition(lambda: self._is_reversed_anew() or self._is_over())
            if not self._is_reversed_anew():
                return
            self._take_up(await self._look_again())

    def _is_over(self) -> bool:
        """Whether all tasks are done; raises what one has raised."""
        return not self._busy() and all(task.done() for task in self._tasks)

    def _is_reversed_anew(self) -> bool:
        return self._reversals > self._reversals_seen

    async def _look_again(self) -> OrderSnapshot:
        """Reads the order anew, after a reversal was recorded."""
        self._reversals_seen = self._reversals
        step = self._steps.add("reversal", None, frozenset({Verdict.RETRY}))
        snapshot = await self._steps.complete(step, self._sync)
        if snapshot is None:
            raise RuntimeError("a step that cannot be skipped was")
        return snapshot

    def _take_up(self, snapshot: OrderSnapshot) -> None:
        """Delivers what is wanted once more, since its reversal was undone."""
        for item in snapshot.fulfillments:
            known = self._fulfillments.get(self._ref(item))
            if item.state not in SETTLED_STATES and (known is None or known in SETTLED_STATES):
                self._fulfillments[self._ref(item)] = item.state
                self._start(item)

    def _fulfilled(self) -> tuple[FulfillmentRef, ...]:
        done = FulfillmentState.FULFILLED
        return tuple(ref for ref, state in self._fulfillments.items() if state is done)

    async def _tell_of_late_ones(self, mailing: asyncio.Task[StepState]) -> None:
        """Mails what becomes ready after the receipt; what comes together, in one mail.

        Of what a person has done by hand, the customer hears from that person.

        Args:
            mailing: Mails the receipt; or finds that it was mailed before, of less.
        """

        def ready() -> tuple[FulfillmentRef, ...]:
            by_hand = {step.ref for step in self._steps.deliveries() if step.done_by_hand}
            return tuple(ref for ref in self._fulfilled() if ref not in self._told | by_hand)

        def is_over() -> bool:
            return mailing.done() and SETTLED_STATES.issuperset(self._fulfillments.values())

        for number in itertools.count(1):
            await workflow.wait_condition(
                lambda: not self._busy(StepState.RUNNING) and (bool(ready()) or is_over())
            )
            news = ready()
            if not (news and _tells_of_parts()):
                return
            self._told.update(news)
            request = SendDeliveryInput(
                session_id=self._session_id, number=number, fulfillments=news
            )
            step = self._steps.add(f"delivery_mail_{number}", None, _RETRY_OR_SKIP)
            self._tasks.append(
                asyncio.create_task(self._steps.settle(step, partial(self._send_delivery, request)))
            )

    async def _await_payment(self, step: Step) -> OrderSnapshot:
        """Asks Stripe until the payment is settled or lost.

        Events wake it; a poll at a widening interval finds what no event told.
        """
        polls = 0
        # Anew with each try: who asks for another one means to wait again.
        waiting_since = workflow.now()
        while True:
            self._events_seen = self._events
            snapshot = await self._sync(step)
            if snapshot.payment is not Payment.PENDING or snapshot.state in CLOSED_STATES:
                return snapshot
            if polls == 0:
                await self._reserve(snapshot.expected, step)
            patience = options.payment_patience(snapshot.payment_method_type)
            if workflow.now() - waiting_since >= patience:
                raise StepParkedError(
                    f"payment_unresolved: after {patience.days} days Stripe says neither paid "
                    f"nor failed ({snapshot.payment_method_type or 'unknown payment method'})"
                )
            await step.wait_until(self._has_new_event, options.poll_delay(polls))
            polls += 1

    def _tell_of_failure(self) -> asyncio.Task[StepState]:
        step = self._steps.add("payment_failed_mail", None, _RETRY_OR_SKIP)
        task = asyncio.create_task(self._steps.settle(step, self._send_payment_failed))
        self._tasks.append(task)
        return task

    def _is_told(self, telling: asyncio.Task[StepState]) -> bool:
        return telling.done() or self._has_new_event()

    async def _reserve(self, expected: tuple[PlannedFulfillment, ...], step: Step) -> None:
        """Holds what the order will need once it is paid; a second time changes nothing."""
        for item in expected:
            kind = KINDS.get(item.kind)
            if kind is not None and kind.reserve is not None:
                try:
                    parameters = kind.parse(item.parameters)
                except ValueError as error:
                    # It parks the delivery, should it come to that.
                    workflow.logger.warning("nothing is held for %s: %s", item.kind, error)
                else:
                    await kind.reserve(self._ref(item), parameters, step)

    def _has_new_event(self) -> bool:
        return self._events > self._events_seen

    async def _sync(self, step: Step, replan: str | None = None) -> OrderSnapshot:
        request = SyncOrderInput(
            session_id=self._session_id, account=self._account, replan_line_item_id=replan
        )
        self._known = await step.execute(OrderActivities.sync_order, request, options.STRIPE)
        return self._known

    def _start(self, item: Fulfillment) -> None:
        ref = self._ref(item)
        step = self._steps.add(ref.step, ref, _ANY_VERDICT)
        self._tasks.append(asyncio.create_task(self._fulfill(step, ref, item)))

    async def _fulfill(self, step: Step, ref: FulfillmentRef, item: Fulfillment) -> StepState:
        """Delivers one line item one way, with an operator's help where it must be."""

        async def attempt(step: Step) -> None:
            parameters = item.parameters
            if step.tries > 1:
                plan = await self._replan(step, ref)
                if ref not in plan:
                    return
                if plan[ref].state is FulfillmentState.REVERSED:
                    raise StepReversedError
                parameters = plan[ref].parameters
            await _kind(ref).fulfill(ref, parameters, step)
            if any(each.waits for each in self._steps.deliveries()) and _tells_of_parts():
                # The record of a delivery does not look at its order: most end together.
                await self._refresh(step)

        async def abandon(step: Step) -> None:
            kind = KINDS.get(ref.kind)
            if kind is not None and kind.abandon is not None:
                await kind.abandon(ref, step)

        state = await self._steps.settle(step, attempt, abandon)
        if ref in self._fulfillments:
            self._fulfillments[ref] = _SETTLED_AS[state]
        return state

    async def _replan(self, step: Step, ref: FulfillmentRef) -> dict[FulfillmentRef, Fulfillment]:
        """Reads a line item's plan anew, and starts what is new in it."""
        snapshot = await self._sync(step, replan=ref.line_item_id)
        plan = {
            self._ref(item): item
            for item in snapshot.fulfillments
            if item.line_item_id == ref.line_item_id
        }
        if ref not in plan:
            del self._fulfillments[ref]
        for new, item in plan.items():
            if new not in self._fulfillments:
                self._fulfillments[new] = item.state
                self._start(item)
        return plan

    async def _deliveries_settled(self) -> None:
        """Waits until nothing is being delivered; for what is being retried, a bounded time."""
        await workflow.wait_condition(lambda: not self._busy(StepState.RUNNING))
        if self._steps.any_in(StepState.RETRYING):
            try:
                await workflow.wait_condition(
                    lambda: not self._busy(StepState.RUNNING, StepState.RETRYING),
                    timeout=options.RECEIPT_PATIENCE,
                    timeout_summary="send the receipt without what is late",
                )
            except TimeoutError:
                workflow.logger.info("the receipt goes out before all deliveries are done")

    def _busy(self, *states: StepState) -> bool:
        """Whether a step is in one of these states; raises what a task has raised."""
        for task in self._tasks:
            if task.done():
                task.result()
        return self._steps.any_in(*states)

    async def _refresh(self, step: Step) -> None:
        request = RefreshOrderInput(session_id=self._session_id)
        await step.execute(OrderActivities.refresh_order, request, options.DATABASE)

    async def _send_delivery(self, request: SendDeliveryInput, step: Step) -> None:
        await step.execute(MailActivities.send_delivery, request, options.MAIL)

    async def _send_receipt(self, step: Step) -> None:
        if not SETTLED_STATES.issuperset(self._fulfillments.values()) and _tells_of_parts():
            await self._refresh(step)
        request = SendReceiptInput(session_id=self._session_id)
        sent = await step.execute(MailActivities.send_receipt, request, options.MAIL)
        if sent is not None and sent.told is not None:
            # By a run of this workflow before this one, or before a reversal was undone.
            self._told = set(sent.told)

    async def _send_payment_failed(self, step: Step) -> None:
        request = SendPaymentFailedInput(session_id=self._session_id)
        await step.execute(MailActivities.send_payment_failed, request, options.MAIL)

    async def _close(self, state: OrderState) -> OrderState | None:
        """Closes the order, and tells as what; None where there is something to deliver."""

        async def attempt(step: Step) -> OrderState | None:
            request = CloseOrderInput(session_id=self._session_id, state=state)
            return await step.execute(OrderActivities.close_order, request, options.DATABASE)

        step = self._steps.add("close", None, frozenset({Verdict.RETRY}))
        closed = await self._steps.complete(step, attempt)
        # Releases before this one closed without a word.
        if closed is None and not workflow.patched("close-unless-reopened"):
            return state
        return closed

    def _ref(self, item: PlannedFulfillment) -> FulfillmentRef:
        return FulfillmentRef(
            session_id=self._session_id, line_item_id=item.line_item_id, kind=item.kind
        )

    def _result(self, state: OrderState) -> FulfillmentResult:
        return FulfillmentResult(
            session_id=self._session_id,
            state=state,
            fulfillments=tuple(
                FulfillmentSummary(line_item_id=ref.line_item_id, kind=ref.kind, state=state)
                for ref, state in self._fulfillments.items()
            ),
        )


def _kind(ref: FulfillmentRef) -> FulfillmentKind[Any]:
    """How a line item is delivered.

    Raises:
        StepParkedError: Nothing says, or nobody knows.
    """
    if ref.kind == UNASSIGNED:
        raise StepParkedError(
            "product_unknown: nothing says how to fulfill this line item; give its "
            "product the metadata `fulfillment`, or the catalog an entry, and retry"
        )
    kind = KINDS.get(ref.kind)
    if kind is None:
        raise StepParkedError(f"kind_unknown: {ref.kind!r}; known: {', '.join(KINDS)}")
    return kind


def _tells_of_parts() -> bool:
    """Whether an order is told to be partly done; those that began under 0.1.0 end as they began.

    Asked only where an order does not go straight through: the marker costs two events.
    """
    return workflow.patched("partial-success")
