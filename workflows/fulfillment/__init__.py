"""Fulfillment kinds: one file each, and a line in this registry."""

from typing import Any

from workflows.fulfillment.access import ACCESS
from workflows.fulfillment.kind import FulfillmentKind
from workflows.fulfillment.manual import MANUAL
from workflows.fulfillment.shipment import SHIPMENT

KINDS: dict[str, FulfillmentKind[Any]] = {kind.name: kind for kind in (ACCESS, SHIPMENT, MANUAL)}
