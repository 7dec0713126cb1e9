"""The workflow that takes back what a refund, a dispute or a fraud warning is about.

    record ──► take back, each fulfillment ──► wake the order's workflow ──► mail ──► wait for more

Its ID is that of the refund or dispute at Stripe. `record` asks Stripe for everything that went
back of the payment, and writes down where each fulfillment is to come to; the order's own workflow
delivers no more than that. Both lock the same rows, so neither has to wait for the other, and it
does not matter whether the order's workflow runs, waits, has ended or is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reversal_intake import (
        RecordReversalInput,
        ResumeOrderInput,
        ReversalActivities,
        ReversalSnapshot,
        SettleByHandInput,
    )
    from activities.reversal_mails import ReversalMailActivities, TellOfReversalInput
    from domain.ids import FulfillmentRef
    from domain.reversals import ReversalObject
    from workflows import options
    from workflows.contract import (
        REVERSAL_EVENT_SIGNAL,
        CheckoutEvent,
        ReversalResult,
    )
    from workflows.fulfillment.registry import KINDS
    from workflows.operated import OperatedWorkflow
    from workflows.steps import Step, StepParkedError, Steps, StepState, Verdict

WORKFLOW = "ReverseCheckout"
_RETRY_OR_SKIP = frozenset({Verdict.RETRY, Verdict.SKIP})
_RETRY = frozenset({Verdict.RETRY})
_RETRY_OR_DONE = frozenset({Verdict.RETRY, Verdict.MARK_FULFILLED})
_Reverse = Callable[[FulfillmentRef, Step], Awaitable[None]]
_BY_HAND = (
    "by_hand: money went back, or came again, for what a person has to take back, or give again"
)


@workflow.defn(name=WORKFLOW)
class ReverseCheckout(OperatedWorkflow):
    """Takes back what one refund, dispute or fraud warning is about, however often it changes."""

    @workflow.init
    def __init__(self, request: RecordReversalInput) -> None:
        self._request = request
        self._steps = Steps(None, self._show_need)
        self._events = 0
        self._events_seen = 0
        self._told: tuple[str, ...] | None = None

    @workflow.run
    async def run(self, request: RecordReversalInput) -> ReversalResult:
        """Runs until everything is taken back, and Stripe is not expected to say more."""
        record = self._steps.add("record", None, _RETRY_OR_SKIP, self._has_new_event)
        polls = 0
        while True:
            snapshot = await self._steps.complete(record, self._record)
            if snapshot is None or snapshot.session_id is None:
                return ReversalResult(id=request.id)
            self._steps.session_id = record.session_id = snapshot.session_id
            if snapshot.aims != self._told:
                await self._tell_order(snapshot.session_id, snapshot.aims)
            by_hand = snapshot.by_hand
            if by_hand and self._is_told_apart() and workflow.patched("refunds-ask-people"):
                by_hand = ()
            if snapshot.unsettled or by_hand:
                await asyncio.gather(
                    *(self._take_back(ref, _reverse_of(ref)) for ref in snapshot.unsettled),
                    *(self._take_back(ref, None) for ref in by_hand),
                )
                # Some of it may be wanted again.
                await self._resume_order(snapshot.session_id)
            await self._tell(snapshot.session_id)
            if self._has_new_event():
                continue
            if snapshot.question is not None:
                await self._ask(snapshot.question)
            elif snapshot.is_watched:
                await record.wait_until(self._has_new_event, options.watch_delay(polls))
                polls += 1
            else:
                return ReversalResult(id=request.id, session_id=snapshot.session_id)

    @workflow.signal(name=REVERSAL_EVENT_SIGNAL, description="Stripe or an operator has said more")
    def reversal_event_received(self, event: CheckoutEvent) -> None:
        """Looks again at all that went back of the payment."""
        workflow.logger.info("event %s (%s)", event.id, event.type)
        self._events += 1

    def _is_told_apart(self) -> bool:
        """Whether each refund has a workflow of its own, which asks people."""
        return self._request.kind is ReversalObject.CHARGE

    def _has_new_event(self) -> bool:
        return self._events > self._events_seen

    async def _record(self, step: Step) -> ReversalSnapshot:
        self._events_seen = self._events
        return await step.execute(
            ReversalActivities.record_reversal, self._request, options.REVERSAL
        )

    async def _tell_order(self, session_id: str, aims: tuple[str, ...]) -> None:
        """Wakes the order, once: Stripe tells of one change by several events."""
        self._told = aims
        await self._resume_order(session_id)

    async def _resume_order(self, session_id: str) -> None:
        request = ResumeOrderInput(
            session_id=session_id, account=self._request.account, reversal_id=self._request.id
        )

        async def attempt(step: Step) -> None:
            await step.execute(ReversalActivities.resume_order, request, options.DATABASE)

        step = self._steps.add("resume_order", None, _RETRY_OR_SKIP)
        await self._steps.settle(step, attempt)

    async def _tell(self, session_id: str) -> None:
        """Has the customer told; the mails go out by themselves."""
        request = TellOfReversalInput(session_id=session_id, reversal_id=self._request.id)

        async def attempt(step: Step) -> None:
            await step.execute(ReversalMailActivities.tell_of_reversal, request, options.DATABASE)

        await self._steps.settle(self._steps.add("tell", None, _RETRY_OR_SKIP), attempt)

    async def _take_back(self, ref: FulfillmentRef, reverse: _Reverse | None) -> None:
        """Brings a fulfillment to where it is to be; where nothing says how, a person does."""
        by_hand = SettleByHandInput(fulfillment=ref, reversal_id=self._request.id)

        async def attempt(step: Step) -> None:
            if step.tries > 1:
                # What was said since then may have changed what is wanted: the order is not to
                # wait for what else is taken back, which a person may be asked for.
                changed = await self._record(step)
                if (
                    changed.session_id is not None
                    and changed.aims != self._told
                    and workflow.patched("changed-aims-resume-orders")
                ):
                    await self._tell_order(changed.session_id, changed.aims)
            if reverse is not None:
                await reverse(ref, step)
            elif not await self._settle_by_hand(step, by_hand):
                raise StepParkedError(_BY_HAND, StepState.AWAITING_OPERATOR)

        async def note(step: Step) -> None:
            said = by_hand.model_copy(update={"by": taken_back.by, "note": taken_back.note or ""})
            await self._settle_by_hand(step, said)

        name = f"take_back:{ref.step}"
        taken_back = self._steps.add(name, None, _RETRY_OR_DONE, self._has_new_event)
        await self._steps.settle(taken_back, attempt)
        if taken_back.done_by_hand:
            await self._steps.settle(self._steps.add(f"note:{ref.step}", None, _RETRY), note)

    async def _settle_by_hand(self, step: Step, request: SettleByHandInput) -> bool:
        return await step.execute(ReversalActivities.settle_by_hand, request, options.DATABASE)

    async def _ask(self, question: str) -> None:
        """Waits until an operator has said which pieces it is about, or it has become plain."""

        async def attempt(step: Step) -> None:
            if step.tries == 1:
                raise StepParkedError(question, StepState.AWAITING_OPERATOR)

        step = self._steps.add("line_items", None, _RETRY, self._has_new_event)
        await self._steps.settle(step, attempt)


def _reverse_of(ref: FulfillmentRef) -> _Reverse | None:
    kind = KINDS.get(ref.kind)
    return kind.reverse if kind is not None else None
