"""What operators can ask of, and say to, every workflow that runs steps."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows import search
    from workflows.contract import OperatorDecision, StepView
    from workflows.steps import Steps, Verdict


class OperatedWorkflow:
    """A workflow whose steps operators see, and help on where they are stuck.

    A workflow makes its `_steps` first thing; what may be decided about each, the step says.
    """

    _steps: Steps
    _is_shown_to_need: bool = False

    def _show_need(self) -> None:
        """Shows in lists of workflows whether a step waits for an operator, once one has."""
        needs = self._steps.needs_operator
        if needs is not self._is_shown_to_need and workflow.patched("reversals-need-attention"):
            self._is_shown_to_need = needs
            workflow.upsert_search_attributes([search.NEEDS_ATTENTION.value_set(needs)])

    @workflow.query(description="All steps, with tries and problems")
    def steps(self) -> tuple[StepView, ...]:
        """All steps so far."""
        return self._steps.views()

    @workflow.update(name=Verdict.RETRY, description="Try a stuck step again")
    def retry(self, decision: OperatorDecision) -> StepView:
        """Tries a parked step again, by what is recorded and configured now."""
        return self._steps.decide(Verdict.RETRY, decision)

    @retry.validator
    def _check_retry(self, decision: OperatorDecision) -> None:
        self._steps.check(Verdict.RETRY, decision)

    @workflow.update(name=Verdict.SKIP, description="Give a stuck step up; needs a reason")
    def skip(self, decision: OperatorDecision) -> StepView:
        """Gives a parked step up; the rest goes on without it."""
        return self._steps.decide(Verdict.SKIP, decision)

    @skip.validator
    def _check_skip(self, decision: OperatorDecision) -> None:
        self._steps.check(Verdict.SKIP, decision)

    @workflow.update(
        name=Verdict.MARK_FULFILLED, description="A person has done what a stuck step is for"
    )
    def mark_fulfilled(self, decision: OperatorDecision) -> StepView:
        """Settles a parked step as done by hand: delivered, or taken back."""
        return self._steps.decide(Verdict.MARK_FULFILLED, decision)

    @mark_fulfilled.validator
    def _check_mark_fulfilled(self, decision: OperatorDecision) -> None:
        self._steps.check(Verdict.MARK_FULFILLED, decision)
