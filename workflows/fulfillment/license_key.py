"""Kind `license_key`: a key for each piece that is bought, made or from an imported pool.

fulfillment = "license_key"
license_key_format = "ACME-XXXXX-XXXXX-XXXXX"    (X is random), or
license_key_pool = "editor-2027"                 (python -m commands.licenses import …)
license_key_activation_limit = "2"               (else any number of machines)
license_key_duration = "P1Y"                     (years, months, weeks, days; else for ever)
"""

from typing import Annotated, Self

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import AfterValidator, Field, model_validator

    from activities.licenses import IssueLicensesInput, LicenseActivities
    from activities.reversals import ReverseInput
    from domain.entitlements import check_duration
    from domain.ids import FulfillmentRef
    from domain.licenses import check_format
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step


class LicenseKeyParameters(Parameters):
    """Where keys come from, and what they are good for."""

    pool: str | None = Field(default=None, min_length=1, max_length=100)
    format: Annotated[str, AfterValidator(check_format)] | None = None
    activation_limit: int | None = Field(default=None, gt=0, le=1_000_000)
    duration: Annotated[str, AfterValidator(check_duration)] | None = None

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.pool is None) == (self.format is None):
            raise ValueError("give one of license_key_format and license_key_pool")
        return self


async def _deliver(ref: FulfillmentRef, parameters: LicenseKeyParameters, step: Step) -> None:
    await step.execute(
        LicenseActivities.issue_licenses,
        IssueLicensesInput(
            fulfillment=ref,
            pool=parameters.pool,
            form=parameters.format,
            activation_limit=parameters.activation_limit,
            duration=parameters.duration,
        ),
        options.DATABASE,
    )


async def _reverse(ref: FulfillmentRef, step: Step) -> None:
    await step.execute(
        LicenseActivities.reverse_licenses, ReverseInput(fulfillment=ref), options.DATABASE
    )


LICENSE_KEY = FulfillmentKind("license_key", LicenseKeyParameters, _deliver, reverse=_reverse)
