"""Kind `shipment`: parcels by the carrier, from stock.

fulfillment = "shipment"
shipment_sku = "MUG-BLUE"                (or that of a bundle in catalog.toml)
shipment_weight_grams = "350"            (of one piece)
shipment_reserve = "true"                (holds the stock while a delayed payment is under way,
shipment_reserve_days = "10"             for so long at most)
shipment_out_of_stock = "backorder"      (see `OutOfStockPolicy`)
shipment_answer_days = "7"               (after which an offered refund is taken as wanted)
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field

    from activities.reversals import ReverseInput
    from activities.shipment_reversals import ShipmentReversalActivities
    from activities.shipments import (
        AbandonShipmentInput,
        BookShipmentInput,
        ReserveStockInput,
        ShipmentActivities,
    )
    from domain.ids import FulfillmentRef
    from domain.stock import OutOfStockPolicy
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step


class ShipmentParameters(Parameters):
    """What is taken from stock, its weight, and what happens while it cannot be shipped."""

    sku: str = Field(min_length=1, max_length=100)
    weight_grams: int = Field(gt=0, le=1_000_000)
    reserve: bool = False
    reserve_days: int | None = Field(default=None, gt=0, le=365)
    out_of_stock: OutOfStockPolicy = OutOfStockPolicy.OPERATOR
    answer_days: int = Field(default=7, gt=0, le=365)


async def _deliver(ref: FulfillmentRef, parameters: ShipmentParameters, step: Step) -> None:
    await step.until_done(
        ShipmentActivities.book_shipment,
        BookShipmentInput(
            fulfillment=ref,
            sku=parameters.sku,
            weight_grams=parameters.weight_grams,
            out_of_stock=parameters.out_of_stock,
            answer_days=parameters.answer_days,
        ),
        options.CARRIER,
    )


async def _abandon(ref: FulfillmentRef, step: Step) -> None:
    await step.execute(
        ShipmentActivities.abandon_shipment, AbandonShipmentInput(fulfillment=ref), options.CARRIER
    )


async def _reserve(ref: FulfillmentRef, parameters: ShipmentParameters, step: Step) -> None:
    if parameters.reserve:
        await step.execute(
            ShipmentActivities.reserve_stock,
            ReserveStockInput(fulfillment=ref, sku=parameters.sku, days=parameters.reserve_days),
            options.DATABASE,
        )


async def _reverse(ref: FulfillmentRef, step: Step) -> None:
    await step.until_done(
        ShipmentReversalActivities.reverse_shipment, ReverseInput(fulfillment=ref), options.CARRIER
    )


SHIPMENT = FulfillmentKind(
    "shipment", ShipmentParameters, _deliver, _abandon, _reserve, reverse=_reverse
)
