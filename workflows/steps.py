"""Steps of an order: each is tried, retried, and at last handed to an operator.

A step never fails its workflow. What retrying can't fix parks the step, and only that step,
until an operator retries, skips or settles it.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.interceptor import MISCONFIGURED
    from activities.mails import MailActivities, SendQuestionInput
    from activities.orders import OrderActivities, RecordStepInput, StepDecision
    from activities.progress import Progress
    from activities.routing import queue_named_by
    from domain.errors import REVERSED
    from domain.ids import FulfillmentRef
    from domain.markdown import as_code, as_text
    from domain.orders import FulfillmentState, Question
    from workflows import options
    from workflows.contract import OperatorDecision, StepView

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class StepState(StrEnum):
    """Where a step stands."""

    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    AWAITING_OPERATOR = "awaiting_operator"
    ACTION_REQUIRED = "action_required"
    ALARM = "alarm"
    """A key or a setting is wrong: an operator is needed, and it is tried again by itself."""
    DONE = "done"
    SKIPPED = "skipped"
    REVERSED = "reversed"
    """The money went back: there is nothing to do any more."""


_PARKED = {
    StepState.AWAITING_OPERATOR: FulfillmentState.AWAITING_OPERATOR,
    StepState.ACTION_REQUIRED: FulfillmentState.ACTION_REQUIRED,
    StepState.ALARM: FulfillmentState.ACTION_REQUIRED,
}
PARKED_STATES = frozenset(_PARKED)
"""In these a step waits for an operator."""


class StepParkedError(Exception):
    """A step cannot go on without an operator.

    Args:
        message: What the operator is to do or to know.
        state: `AWAITING_OPERATOR` where that is the plan, `ALARM` where it is tried again
            without one too, else `ACTION_REQUIRED`.
    """

    def __init__(self, message: str, state: StepState = StepState.ACTION_REQUIRED) -> None:
        super().__init__(message)
        self.message = message
        self.state = state


class StepReversedError(Exception):
    """The money went back: there is nothing to deliver any more."""


class StepDecidedError(Exception):
    """An operator decided about a step that waits for somebody else."""

    def __init__(self, verdict: "Verdict") -> None:
        super().__init__(verdict)
        self.verdict = verdict


class Verdict(StrEnum):
    """What an operator can decide about a parked step."""

    RETRY = "retry"
    SKIP = "skip"
    MARK_FULFILLED = "mark_fulfilled"


_MOST_BY = 200
_MOST_REASON = 1_000
_RECORDED = {
    Verdict.RETRY: FulfillmentState.PENDING,
    Verdict.SKIP: FulfillmentState.SKIPPED,
    Verdict.MARK_FULFILLED: FulfillmentState.FULFILLED,
}


@dataclass
class Step:
    """One step: its state, and what an operator decided about it.

    Attributes:
        name: How operators call it.
        ref: The fulfillment that it delivers, if it is one.
        allowed: What operators may decide about it.
        has_news: Whether something was heard that makes it worth trying again while parked.
        decision: What an operator decided last.
        done_by_hand: Whether an operator has said that it is delivered.
    """

    session_id: str | None
    name: str
    ref: FulfillmentRef | None
    allowed: frozenset[Verdict]
    on_change: Callable[[], None]
    has_news: Callable[[], bool] = lambda: False
    state: StepState = StepState.RUNNING
    tries: int = 0
    error: str | None = None
    decision: StepDecision | None = None
    done_by_hand: bool = False
    _decisions: list[Verdict] = field(default_factory=list)
    _news: int = 0
    _is_told: bool = False

    @property
    def title(self) -> str:
        """Its name for the Temporal Web UI's summaries, which are Markdown."""
        return as_text(self.name)

    def enter(self, state: StepState, error: str | None = None) -> None:
        """Changes the state, where everybody can see it."""
        self.state = state
        self.error = error
        self.on_change()

    async def execute(
        self,
        activity: Callable[[Any, Request], Awaitable[Answer]],
        request: Request,
        how: options.StepOptions,
    ) -> Answer:
        """Runs an activity: locally first, if it may, then as a regular one with all its retries.

        Where its concern has a task queue of its own, the local try only says which.

        Raises:
            StepParkedError: It failed for good, or for longer than its options allow.
            StepReversedError: The money went back.
        """
        queue: str | None = None
        if how.local_timeout:
            try:
                return await workflow.execute_local_activity_method(
                    activity,
                    request,
                    start_to_close_timeout=how.local_timeout,
                    retry_policy=RetryPolicy(maximum_attempts=1),
                    summary=self.title,
                )
            except FailureError as error:
                queue = queue_named_by(_cause(error))
                if queue is None:
                    await self._wait_to_retry(error)
        try:
            return await workflow.execute_activity_method(
                activity,
                request,
                task_queue=queue,
                start_to_close_timeout=how.timeout,
                schedule_to_close_timeout=how.give_up_after,
                heartbeat_timeout=how.heartbeat,
                retry_policy=options.RETRY,
                summary=self.title,
            )
        except FailureError as error:
            raise _refused(_cause(error)) from error

    async def _wait_to_retry(self, error: FailureError) -> None:
        """Waits after a failed local try, if another can help."""
        cause = _cause(error)
        if isinstance(cause, ApplicationError) and cause.non_retryable:
            raise _refused(cause) from error
        self.enter(StepState.RETRYING, _sentence(cause))
        delay = cause.next_retry_delay if isinstance(cause, ApplicationError) else None
        again = f"retry {self.title}"
        await workflow.sleep(delay or options.FALLBACK_DELAY, summary=again)

    async def wait_until(self, condition: Callable[[], bool], at_most: timedelta) -> None:
        """Waits durably for a condition, or until the time has run out."""
        self.enter(StepState.WAITING)
        try:
            await workflow.wait_condition(condition, timeout=at_most, timeout_summary=self.title)
        except TimeoutError:
            workflow.logger.info("%s: nothing heard within %s", self.name, at_most)
        self.enter(StepState.RUNNING)

    async def until_done(
        self,
        activity: Callable[[Any, Request], Awaitable[Progress | None]],
        request: Request,
        how: options.StepOptions,
    ) -> None:
        """Runs an activity until it says that it is done.

        In between it waits for news, or until it is time to look again; what the activity wants
        to know of the customer is mailed once.

        Raises:
            StepParkedError: As for `execute`.
            StepDecidedError: An operator decided while it waited.
        """
        asked: set[Question] = set()
        looks = 0
        while True:
            heard = self._news
            self._is_told = False
            progress = await self.execute(activity, request, how)
            # Activities of releases before this one answered nothing when they were done.
            if progress is None or progress.waiting is None:
                return
            if progress.ask is not None and progress.ask not in asked and self.ref is not None:
                question = SendQuestionInput(fulfillment=self.ref, question=progress.ask)
                await self.execute(MailActivities.send_question, question, options.MAIL)
                asked.add(progress.ask)
            delay = options.poll_delay(looks)
            await self._wait_for_news(progress, heard, min(delay, progress.look_again_in or delay))
            looks += 1

    async def _wait_for_news(self, progress: Progress, heard: int, at_most: timedelta) -> None:
        self._decisions.clear()
        self.enter(StepState.WAITING, progress.waiting)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news > heard or bool(self._decisions),
                timeout=at_most,
                timeout_summary=f"look again at {self.title}",
            )
        if self._decisions:
            raise StepDecidedError(self._decisions[-1])
        self.enter(StepState.RUNNING)

    def hear(self) -> None:
        """Something was recorded that this step may wait for, or that ends its being parked."""
        self._news += 1
        # Parked steps of 0.2.0 did not hear it.
        self._is_told = workflow.patched("parked-hears-news")

    @property
    def waits(self) -> bool:
        """Whether it waits for somebody."""
        return self.state in PARKED_STATES or self.state is StepState.WAITING

    @property
    def waits_for_operator(self) -> bool:
        """Whether a decision would be heard now."""
        waits = self.waits if self.ref is not None else self.state in PARKED_STATES
        return waits and not self._decisions

    @property
    def by(self) -> str | None:
        """Who decided."""
        return None if self.decision is None else self.decision.by

    @property
    def note(self) -> str | None:
        """What was decided, in words."""
        if self.decision is None:
            return None
        said = self.decision
        return f"{said.verdict} by {said.by}: {said.reason or 'no reason given'}"

    def decide(self, verdict: Verdict, decision: OperatorDecision) -> None:
        """Takes an operator's decision."""
        self._decisions.append(verdict)
        self.decision = StepDecision(
            verdict=verdict,
            by=decision.by,
            reason=decision.reason,
            tries=self.tries,
            at=workflow.now(),
        )

    async def wait_for_verdict(self, parked: StepParkedError) -> Verdict:
        """Waits until an operator decides, however long that takes; in an alarm, not for long.

        News is a reason to try again too, also news from before it was parked.
        """
        self._decisions.clear()
        self.decision = None
        self.enter(parked.state, parked.message)
        alarmed = parked.state is StepState.ALARM
        try:
            await workflow.wait_condition(
                lambda: bool(self._decisions) or self.has_news() or self._is_told,
                timeout=options.alarm_delay(self.tries) if alarmed else None,
                timeout_summary=f"try {self.title} again by itself",
            )
        except TimeoutError:
            return Verdict.RETRY
        return self._decisions[-1] if self._decisions else Verdict.RETRY

    def begin(self) -> None:
        """Begins another try, which will see all that is recorded by now."""
        self.tries += 1
        self._is_told = False
        self.enter(StepState.RUNNING)

    async def record(
        self,
        state: FulfillmentState,
        *,
        error: str | None = None,
        decision: StepDecision | None = None,
    ) -> None:
        """Writes where the step stands into the order's record, and who decided so.

        Raises:
            StepReversedError: The record says that the money went back.
        """
        if self.session_id is None:
            return
        recorded = await self.execute(
            OrderActivities.record_step,
            RecordStepInput(
                session_id=self.session_id,
                step=self.name,
                state=state,
                fulfillment=self.ref,
                error=error,
                note=self.note if decision else None,
                decision=decision,
            ),
            options.DATABASE,
        )
        if recorded is FulfillmentState.REVERSED:
            raise StepReversedError


class Steps:
    """All steps of one order.

    Args:
        session_id: The order's Checkout Session; None as long as nobody knows it.
        on_change: Hears that a step has changed its state.
    """

    def __init__(
        self, session_id: str | None, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.session_id = session_id
        self._on_change = on_change
        self._steps: dict[str, Step] = {}

    def add(
        self,
        name: str,
        ref: FulfillmentRef | None,
        allowed: frozenset[Verdict],
        has_news: Callable[[], bool] = lambda: False,
    ) -> Step:
        """Makes a step; it counts as running from now on."""
        step = Step(self.session_id, name, ref, allowed, on_change=self._publish, has_news=has_news)
        self._steps[name] = step
        return step

    async def complete(
        self, step: Step, attempt: Callable[[Step], Awaitable[Answer]]
    ) -> Answer | None:
        """Runs a step for its answer; None when an operator skipped it."""
        while True:
            try:
                return await self._try(step, attempt)
            except StepParkedError as parked:
                if await self._ask_operator(step, parked) is not Verdict.RETRY:
                    step.enter(StepState.SKIPPED)
                    return None

    async def settle(
        self,
        step: Step,
        attempt: Callable[[Step], Awaitable[None]],
        abandon: Callable[[Step], Awaitable[None]] | None = None,
    ) -> StepState:
        """Runs a step until it is done, or an operator says that it is, or skips it.

        `abandon` undoes what a skipped step holds; it may refuse, as the step itself may.
        """
        try:
            return await self._settle(step, attempt, abandon)
        except StepReversedError:
            step.enter(StepState.REVERSED)
            return step.state

    async def _settle(
        self,
        step: Step,
        attempt: Callable[[Step], Awaitable[None]],
        abandon: Callable[[Step], Awaitable[None]] | None,
    ) -> StepState:
        while True:
            try:
                await self._try(step, attempt)
            except StepParkedError as parked:
                verdict = await self._ask_operator(step, parked, abandon)
            except StepDecidedError as decided:
                verdict = decided.verdict
                try:
                    await self._carry_out(step, verdict, abandon)
                except StepParkedError as refused:
                    verdict = await self._ask_operator(step, refused, abandon)
            else:
                return step.state
            if verdict is not Verdict.RETRY:
                step.done_by_hand = verdict is Verdict.MARK_FULFILLED
                step.enter(StepState.SKIPPED if verdict is Verdict.SKIP else StepState.DONE)
                return step.state

    def decide(self, verdict: Verdict, decision: OperatorDecision) -> StepView:
        """Passes an operator's decision to the step that waits for it; check it first."""
        step = self._steps[decision.step]
        step.decide(verdict, decision)
        return _view(step)

    def check(self, verdict: Verdict, decision: OperatorDecision) -> None:
        """Refuses a decision that cannot be carried out.

        Raises:
            ApplicationError: There is no such step, it does not wait for an operator, or it
                cannot be settled this way.
        """
        step = self._steps.get(decision.step)
        if step is None:
            known = ", ".join(self._steps)
            raise ApplicationError(f"there is no step {decision.step!r}; steps: {known}")
        if not step.waits_for_operator:
            raise ApplicationError(f"step {step.name!r} is {step.state}, it waits for nobody")
        if verdict not in step.allowed:
            allowed = ", ".join(sorted(step.allowed))
            raise ApplicationError(f"step {step.name!r} cannot be settled so; possible: {allowed}")
        if verdict is Verdict.SKIP and not decision.reason:
            raise ApplicationError("a skipped step needs a reason")
        if len(decision.by) > _MOST_BY or len(decision.reason) > _MOST_REASON:
            raise ApplicationError(
                f"`by` has at most {_MOST_BY} characters, `reason` {_MOST_REASON}"
            )
        if "\0" in decision.by + decision.reason:
            raise ApplicationError("`by` and `reason` hold no NUL characters")

    def hear(self, name: str) -> None:
        """Something was recorded about a step; one that is not there yet will read it itself."""
        if name in self._steps:
            self._steps[name].hear()

    def hear_all(self) -> None:
        """Something was recorded that any delivery may heed."""
        for step in self.deliveries():
            step.hear()

    def views(self) -> tuple[StepView, ...]:
        """All steps so far."""
        return tuple(_view(step) for step in self._steps.values())

    def deliveries(self) -> tuple[Step, ...]:
        """The steps that deliver line items."""
        return tuple(step for step in self._steps.values() if step.ref is not None)

    @property
    def needs_operator(self) -> bool:
        """Whether a step waits for an operator."""
        return self.any_in(*PARKED_STATES)

    def any_in(self, *states: StepState) -> bool:
        """Whether a step is in one of these states now."""
        return any(step.state in states for step in self._steps.values())

    async def _try(self, step: Step, attempt: Callable[[Step], Awaitable[Answer]]) -> Answer:
        step.begin()
        answer = await attempt(step)
        step.enter(StepState.DONE)
        return answer

    async def _ask_operator(
        self,
        step: Step,
        parked: StepParkedError,
        abandon: Callable[[Step], Awaitable[None]] | None = None,
    ) -> Verdict:
        """Parks a step until an operator decided, and the decision is carried out."""
        while True:
            workflow.logger.warning("%s waits for an operator: %s", step.name, parked.message)
            planned = parked.state is StepState.AWAITING_OPERATOR
            error = None if planned else parked.message
            try:
                await step.record(_PARKED[parked.state], error=error)
            except StepParkedError as unrecorded:
                # To wait matters more than the record of it; the Web UI shows the step too.
                workflow.logger.error("%s is not recorded: %s", step.name, unrecorded.message)
            verdict = await step.wait_for_verdict(parked)
            try:
                await self._carry_out(step, verdict, abandon)
            except StepParkedError as refused:
                # Not its alarm: what was decided is not to be overruled by a timer.
                parked = StepParkedError(refused.message)
                continue
            return verdict

    async def _carry_out(
        self,
        step: Step,
        verdict: Verdict,
        abandon: Callable[[Step], Awaitable[None]] | None,
    ) -> None:
        if verdict is Verdict.SKIP and abandon is not None:
            await abandon(step)
        await step.record(_RECORDED[verdict], decision=step.decision)

    def _publish(self) -> None:
        """Shows the steps on the workflow's page in the Temporal Web UI."""
        steps = self._steps.values()
        rows = [f"| {as_code(step.name)} | {step.state} | {step.tries} |" for step in steps]
        lines = ["| Step | State | Tries |", "|---|---|---|", *rows]
        # Below the table, whose columns the page cuts off where they are long.
        for step in steps:
            if step.error:
                lines += ["", f"**{as_code(step.name)}: {as_text(step.error)}**"]
            if step.state in PARKED_STATES:
                allowed = ", ".join(f"`{verdict}`" for verdict in sorted(step.allowed))
                lines += ["", f"It waits for an operator. Send an update: {allowed}."]
            if step.state is StepState.ALARM:
                lines += ["", "Mend the key or the setting: it is tried again by itself, slowly."]
        workflow.set_current_details("\n".join(lines))
        self._on_change()


def _view(step: Step) -> StepView:
    return StepView(step=step.name, state=step.state, tries=step.tries, error=step.error)


def _cause(error: FailureError) -> BaseException:
    """What went wrong in an activity: a local one raises it bare, a regular one wraps it."""
    if is_cancelled_exception(error):
        raise error
    return error.cause or error if isinstance(error, ActivityError) else error


def _refused(cause: BaseException) -> StepParkedError | StepReversedError:
    if isinstance(cause, ApplicationError) and cause.type == REVERSED:
        return StepReversedError()
    alarm = isinstance(cause, ApplicationError) and MISCONFIGURED in cause.details
    return StepParkedError(
        _sentence(cause), StepState.ALARM if alarm else StepState.ACTION_REQUIRED
    )


def _sentence(cause: BaseException) -> str:
    if isinstance(cause, ApplicationError):
        return f"{cause.type}: {cause.message}"
    return str(cause) if not cause.__cause__ else f"{cause}, after: {_sentence(cause.__cause__)}"
