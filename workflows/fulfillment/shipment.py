"""Kind `shipment`: a parcel by the carrier, from stock.

fulfillment = "shipment"
shipment_sku = "MUG-BLUE"
shipment_weight_grams = "350"      (of one piece)
shipment_reserve = "true"          (holds the stock while a delayed payment is under way)
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field

    from activities.shipments import (
        AbandonShipmentInput,
        BookShipmentInput,
        ReserveStockInput,
        ShipmentActivities,
    )
    from domain.ids import FulfillmentRef
    from workflows import options
    from workflows.fulfillment.kind import FulfillmentKind, Parameters
    from workflows.steps import Step


class ShipmentParameters(Parameters):
    """What is taken from stock, its weight, and whether a delayed payment holds it."""

    sku: str = Field(min_length=1, max_length=100)
    weight_grams: int = Field(gt=0, le=1_000_000)
    reserve: bool = False


async def _deliver(ref: FulfillmentRef, parameters: ShipmentParameters, step: Step) -> None:
    await step.execute(
        ShipmentActivities.book_shipment,
        BookShipmentInput(
            fulfillment=ref, sku=parameters.sku, weight_grams=parameters.weight_grams
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
            ReserveStockInput(fulfillment=ref, sku=parameters.sku),
            options.DATABASE,
        )


SHIPMENT = FulfillmentKind("shipment", ShipmentParameters, _deliver, _abandon, _reserve)
