"""Kind `manual`: a person does it, then sends the update `mark_fulfilled`.

fulfillment = "manual"
manual_instructions = "Call the customer to arrange the fitting"
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field

    from domain.ids import FulfillmentRef
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step, StepParkedError, StepState


class ManualParameters(Parameters):
    """What the operator is to do."""

    instructions: str = Field(default="Fulfill this by hand", max_length=500)


async def _deliver(_ref: FulfillmentRef, parameters: ManualParameters, _step: Step) -> None:
    raise StepParkedError(parameters.instructions, StepState.AWAITING_OPERATOR)


MANUAL = FulfillmentKind("manual", ManualParameters, _deliver)
