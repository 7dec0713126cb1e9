"""Kind `gift_card`: a code that is worth something in the merchant's shop.

fulfillment = "gift_card"
gift_card_prefix = "XMAS"
"""

import secrets
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from temporalio import activity

from workflows.fulfillment.authoring import (
    Database,
    Deliverable,
    DeliverableType,
    FulfillmentKind,
    FulfillmentRef,
    FulfillmentState,
    KindContext,
    Parameters,
    Progress,
    Step,
    claim_line,
    mark_fulfillment,
    options,
)


class GiftCardParameters(Parameters):
    """How the codes begin."""

    prefix: str = Field(pattern=r"^[A-Z]{2,8}$")


class IssueGiftCardInput(BaseModel):
    """Which fulfillment the codes are for."""

    model_config = ConfigDict(frozen=True)

    fulfillment: FulfillmentRef
    prefix: str


class GiftCardActivities:
    """Activities on gift cards.

    Args:
        database: Where fulfillments are recorded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def issue_gift_cards(self, request: IssueGiftCardInput) -> Progress:
        """Hands over one code per piece; a second time changes nothing."""
        ref = request.fulfillment
        async with self._database.transaction() as connection:
            line = await claim_line(connection, ref)
            if line.state is FulfillmentState.FULFILLED:
                return Progress()
            await mark_fulfillment(
                connection,
                ref,
                FulfillmentState.FULFILLED,
                delivered=[
                    Deliverable(
                        type=DeliverableType.KEY,
                        value=f"{request.prefix}-{secrets.token_hex(8).upper()}",
                        label="Gift card",
                    )
                    for _ in range(line.quantity)
                ],
            )
        return Progress()


async def _deliver(ref: FulfillmentRef, parameters: GiftCardParameters, step: Step) -> None:
    await step.until_done(
        GiftCardActivities.issue_gift_cards,
        IssueGiftCardInput(fulfillment=ref, prefix=parameters.prefix),
        options.DATABASE,
    )


def _activities(context: KindContext) -> list[Callable[..., Any]]:
    return [GiftCardActivities(context.database).issue_gift_cards]


GIFT_CARD = FulfillmentKind("gift_card", GiftCardParameters, _deliver, activities=_activities)
