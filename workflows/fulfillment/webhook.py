"""Kind `webhook`: the merchant's own service delivers it, at once or later.

fulfillment = "webhook"
webhook_url = "https://seats.example.com/fulfill"
webhook_data = "concert-2026"            (passed on as it is)
webhook_reversals = "true"               (it is told of refunds; else a person is asked)

docs/service.md says what is sent there, and what is answered.
"""

from typing import Annotated
from urllib.parse import urlsplit

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import AfterValidator, Field

    from activities.reversals import ReverseInput
    from activities.service_reversals import ServiceReversalActivities
    from activities.services import AbandonServiceInput, CallServiceInput, ServiceActivities
    from domain.ids import FulfillmentRef
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step

_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


def _check_url(value: str) -> str:
    # Customers' data goes there.
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or not value.isprintable() or " " in value:
        raise ValueError("must be a URL")
    if parts.scheme != "https" and (parts.scheme != "http" or host not in _THIS_MACHINE):
        raise ValueError("must be an https:// URL")
    if parts.username is not None or parts.fragment:
        raise ValueError("must have no user and no fragment")
    return value


class WebhookParameters(Parameters):
    """Where the service is, and what else it is to know."""

    url: Annotated[str, Field(max_length=2000), AfterValidator(_check_url)]
    data: str | None = Field(default=None, max_length=5000)
    reversals: bool = False


async def _deliver(ref: FulfillmentRef, parameters: WebhookParameters, step: Step) -> None:
    await step.until_done(
        ServiceActivities.call_service,
        CallServiceInput(fulfillment=ref, url=parameters.url, data=parameters.data),
        options.SERVICE,
    )


async def _abandon(ref: FulfillmentRef, step: Step) -> None:
    await step.execute(
        ServiceActivities.abandon_service_call,
        AbandonServiceInput(fulfillment=ref),
        options.DATABASE,
    )


async def _reverse(ref: FulfillmentRef, step: Step) -> None:
    await step.until_done(
        ServiceReversalActivities.reverse_service_call,
        ReverseInput(fulfillment=ref),
        options.SERVICE,
    )


WEBHOOK = FulfillmentKind("webhook", WebhookParameters, _deliver, _abandon, reverse=_reverse)
