"""Kind `access`: the customer may use something online.

fulfillment = "access"
access_url = "https://example.com/course"
access_feature = "online-course"
access_seats = "5"                       (of each piece that is bought; else one)
access_duration = "P1M"                  (years, months, weeks, days; else it does not end)
access_renewal = "add"                   (see `Renewal`; else a later order extends)
"""

from typing import Annotated

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import AfterValidator, Field

    from activities.access import AccessActivities, GrantAccessInput
    from activities.reversals import ReverseInput
    from domain.entitlements import Renewal, check_duration
    from domain.ids import FulfillmentRef
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step


class AccessParameters(Parameters):
    """Where the customer goes, what the merchant's own app asks for, and for how long."""

    url: str = Field(pattern=r"^https?://\S+$", max_length=2000)
    feature: str = Field(min_length=1, max_length=200)
    seats: int = Field(default=1, gt=0, le=100_000)
    duration: Annotated[str, AfterValidator(check_duration)] | None = None
    renewal: Renewal = Renewal.EXTEND


async def _deliver(ref: FulfillmentRef, parameters: AccessParameters, step: Step) -> None:
    await step.execute(
        AccessActivities.grant_access,
        GrantAccessInput(
            fulfillment=ref,
            url=parameters.url,
            feature=parameters.feature,
            seats=parameters.seats,
            duration=parameters.duration,
            renewal=parameters.renewal,
        ),
        options.DATABASE,
    )


async def _reverse(ref: FulfillmentRef, step: Step) -> None:
    await step.execute(
        AccessActivities.reverse_access, ReverseInput(fulfillment=ref), options.DATABASE
    )


ACCESS = FulfillmentKind("access", AccessParameters, _deliver, reverse=_reverse)
