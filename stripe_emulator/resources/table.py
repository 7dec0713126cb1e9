"""Imports every resource, so that each adds its operations to the table."""

from ..operations import OPERATIONS
from . import (
    accounts,
    coupons,
    customers,
    disputes,
    events,
    invoice_payments,
    payment_intents,
    payment_links,
    payment_methods,
    payment_pages,
    prices,
    products,
    reads,
    refunds,
    sessions,
    shipping_rates,
    webhook_endpoints,
)

__all__ = [
    "OPERATIONS",
    "accounts",
    "coupons",
    "customers",
    "disputes",
    "events",
    "invoice_payments",
    "payment_intents",
    "payment_links",
    "payment_methods",
    "payment_pages",
    "prices",
    "products",
    "reads",
    "refunds",
    "sessions",
    "shipping_rates",
    "webhook_endpoints",
]
