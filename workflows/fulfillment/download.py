"""Kind `download`: files of DOWNLOADS_FOLDER, by links that work for a while.

fulfillment = "download"
download_files = "album/one.flac, album/two.flac"
download_days = "30"                     (else a year)
download_limit = "5"                     (how often each, for each piece; else any number)
"""

from typing import Annotated

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BeforeValidator, Field

    from activities.downloads import DownloadActivities, OfferDownloadsInput
    from activities.reversals import ReverseInput
    from domain.downloads import split_files
    from domain.ids import FulfillmentRef
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step


def _split(value: object) -> object:
    return split_files(value) if isinstance(value, str) else value


class DownloadParameters(Parameters):
    """Which files, for how long, and how often."""

    files: Annotated[tuple[str, ...], BeforeValidator(_split)]
    days: int = Field(default=365, gt=0, le=36_500)
    limit: int | None = Field(default=None, gt=0, le=1_000_000)


async def _deliver(ref: FulfillmentRef, parameters: DownloadParameters, step: Step) -> None:
    await step.execute(
        DownloadActivities.offer_downloads,
        OfferDownloadsInput(
            fulfillment=ref,
            files=parameters.files,
            days=parameters.days,
            limit=parameters.limit,
        ),
        options.DATABASE,
    )


async def _reverse(ref: FulfillmentRef, step: Step) -> None:
    await step.execute(
        DownloadActivities.reverse_downloads, ReverseInput(fulfillment=ref), options.DATABASE
    )


DOWNLOAD = FulfillmentKind("download", DownloadParameters, _deliver, reverse=_reverse)
