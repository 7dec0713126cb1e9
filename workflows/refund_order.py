"""The workflow that makes one refund that was asked for; its ID names the request.

It ends once the refund is made at Stripe. What that takes back is the business of the refund's own
workflow, as with any other refund: see `workflows.reverse_checkout`.
"""

from pydantic import BaseModel, ConfigDict
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.refunds import GiveUpRefundInput, RefundActivities, RefundInput
    from workflows import options
    from workflows.operated import OperatedWorkflow
    from workflows.steps import Step, Steps, Verdict

WORKFLOW = "RefundOrder"
ID_PREFIX = "refund:"
"""Before the request's ID, in the workflow's."""


class RefundOrderRequest(BaseModel):
    """Which request."""

    model_config = ConfigDict(frozen=True)

    request_id: str


@workflow.defn(name=WORKFLOW)
class RefundOrder(OperatedWorkflow):
    """Makes a refund at Stripe; what Stripe refuses waits for an operator."""

    @workflow.init
    def __init__(self, request: RefundOrderRequest) -> None:
        self._request = RefundInput(request_id=request.request_id)
        self._steps = Steps(None, self._show_need)

    @workflow.run
    async def run(self, request: RefundOrderRequest) -> None:  # noqa: ARG002 - read by __init__
        """Runs until it is made, or an operator has given it up."""
        # A request that is nobody's is a defect, and stays where Temporal shows it.
        find = self._steps.add("find_order", None, frozenset({Verdict.RETRY}))
        self._steps.session_id = await self._steps.complete(find, self._find)
        step = self._steps.add("refund", None, frozenset({Verdict.RETRY, Verdict.SKIP}))
        await self._steps.settle(step, self._make, self._give_up)

    async def _find(self, step: Step) -> str:
        return await step.execute(
            RefundActivities.find_refunded_order, self._request, options.DATABASE
        )

    async def _make(self, step: Step) -> None:
        await step.execute(RefundActivities.make_refund, self._request, options.REVERSAL)

    async def _give_up(self, step: Step) -> None:
        given_up = GiveUpRefundInput(
            request_id=self._request.request_id, by=step.by or "", note=step.note or ""
        )
        await step.execute(RefundActivities.give_up_refund, given_up, options.DATABASE)
