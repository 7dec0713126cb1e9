"""Customers. See "The Customer object" in Stripe's API reference."""

from ..emulator import Emulator
from ..ids import new_id, now, random_text
from ..operations import Call, operation
from ..paging import in_range, page
from ..params import Params
from ..store import Account, StripeObject
from .common import check_email, metadata, update


def add_customer(emulator: Emulator, account: Account, params: Params) -> StripeObject:
    """Make and keep a customer."""
    customer = account.add(
        {
            "id": new_id("cus", 14),
            "object": "customer",
            "address": params.get("address") or None,
            "balance": 0,
            "created": now(),
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": params.get("description"),
            "discount": None,
            "email": params.get("email"),
            "invoice_prefix": random_text(8).upper(),
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            },
            "livemode": False,
            "metadata": metadata(params.get("metadata")),
            "name": params.get("name"),
            "next_invoice_sequence": 1,
            "phone": params.get("phone"),
            "preferred_locales": params.get("preferred_locales") or [],
            "shipping": params.get("shipping") or None,
            "tax_exempt": params.get("tax_exempt") or "none",
            "test_clock": None,
        }
    )
    emulator.emit(account, "customer.created", customer)
    return customer


@operation("POST /v1/customers")
def create(call: Call) -> StripeObject:
    """Create a customer."""
    if call.params.get("email"):
        check_email(call.params["email"], "email")
    return add_customer(call.emulator, call.account, call.params)


@operation("GET /v1/customers/{customer}")
def retrieve(call: Call) -> StripeObject:
    """The customer of this ID."""
    return call.target("customer", "customer")


@operation("POST /v1/customers/{customer}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent."""
    customer = retrieve(call)
    fields = ("address", "description", "email", "name", "phone", "shipping", "tax_exempt")
    previous = update(customer, call.params, fields)
    customer["tax_exempt"] = customer["tax_exempt"] or "none"
    call.emulator.emit(call.account, "customer.updated", customer, previous)
    return customer


@operation("DELETE /v1/customers/{customer}")
def delete(call: Call) -> StripeObject:
    """Forget a customer."""
    customer = retrieve(call)
    call.account.remove(customer)
    call.emulator.emit(call.account, "customer.deleted", customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


@operation("GET /v1/customers")
def list_all(call: Call) -> StripeObject:
    """Customers, the newest first."""
    params = call.params
    found = (
        customer
        for customer in call.account.newest_first("customer")
        if in_range(customer["created"], params.get("created"))
        and ("email" not in params or customer["email"] == params["email"])
    )
    return page(call.account, found, params, "/v1/customers")
