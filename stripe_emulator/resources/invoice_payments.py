"""What paid an invoice, or is to pay it. See "Invoice Payments" in Stripe's API reference."""

from ..operations import Call, operation
from ..paging import in_range, page
from ..store import StripeObject


@operation("GET /v1/invoice_payments/{invoice_payment}")
def retrieve(call: Call) -> StripeObject:
    """The invoice payment of this ID."""
    return call.target("invoice_payment", "invoice_payment")


@operation("GET /v1/invoice_payments")
def list_all(call: Call) -> StripeObject:
    """Invoice payments, the newest first."""
    params = call.params
    wanted = {name: params[name] for name in ("invoice", "status") if name in params}
    paid_by = params.get("payment", {})
    found = (
        payment
        for payment in call.account.newest_first("invoice_payment")
        if all(payment[name] == value for name, value in wanted.items())
        and all(payment["payment"].get(name) == value for name, value in paid_by.items())
        and in_range(payment["created"], params.get("created"))
    )
    return page(call.account, found, params, "/v1/invoice_payments")
