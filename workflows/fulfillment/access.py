"""Kind `access`: the customer may use something online.

fulfillment = "access"
access_url = "https://example.com/course"
access_feature = "online-course"
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field

    from activities.access import AccessActivities, GrantAccessInput
    from domain.ids import FulfillmentRef
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step


class AccessParameters(Parameters):
    """Where the customer goes, and what the merchant's own app asks for."""

    url: str = Field(pattern=r"^https?://\S+$", max_length=2000)
    feature: str = Field(min_length=1, max_length=200)


async def _deliver(ref: FulfillmentRef, parameters: AccessParameters, step: Step) -> None:
    await step.execute(
        AccessActivities.grant_access,
        GrantAccessInput(fulfillment=ref, url=parameters.url, feature=parameters.feature),
        options.DATABASE,
    )


ACCESS = FulfillmentKind("access", AccessParameters, _deliver)
