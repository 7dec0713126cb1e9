"""Imports every resource, so that each adds its operations to the table."""

from ..operations import OPERATIONS
from . import (
    customers,
    events,
    prices,
    products,
    reads,
    sessions,
    shipping_rates,
    webhook_endpoints,
)

__all__ = [
    "OPERATIONS",
    "customers",
    "events",
    "prices",
    "products",
    "reads",
    "sessions",
    "shipping_rates",
    "webhook_endpoints",
]
