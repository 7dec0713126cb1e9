"""Payment methods over the API. See "Payment Methods" in Stripe's API reference."""

from ..errors import invalid, missing_parameter, resource_missing
from ..operations import Call, operation
from ..paging import page
from ..params import Params
from ..payments.methods import (
    CARD,
    CARDS_BY_TOKEN,
    billing_details,
    card_of,
    new_bank_debit,
    new_card,
)
from ..store import Account, StripeObject
from .common import metadata, update

_NUMBER_FIELDS = {
    "us_bank_account": "account_number",
    "sepa_debit": "iban",
    "bacs_debit": "account_number",
    "au_becs_debit": "account_number",
    "acss_debit": "account_number",
}


def from_params(params: Params) -> StripeObject:
    """A payment method from the parameters of its creation; it is not kept yet.

    Raises:
        StripeError: If the type is unknown here or a card is no test card.
    """
    kind = params.get("type")
    if kind is None:
        raise missing_parameter("type")
    billing = billing_details(params.get("billing_details"))
    if kind == CARD:
        method = _card(params.get("card", {}), billing)
    else:
        number = params.get(kind, {}).get(_NUMBER_FIELDS.get(kind, ""), "")
        method = new_bank_debit(kind, billing, number)
    method["metadata"] = metadata(params.get("metadata"))
    return method


def _card(sent: Params, billing: StripeObject) -> StripeObject:
    token = sent.get("token")
    if token is not None:
        if token not in CARDS_BY_TOKEN:
            raise resource_missing("token", token, "card[token]")
        return new_card(CARDS_BY_TOKEN[token], billing)
    for name in ("number", "exp_month", "exp_year"):
        if name not in sent:
            raise missing_parameter(f"card[{name}]")
    return new_card(card_of(sent["number"]), billing, sent["exp_month"], sent["exp_year"])


def named(account: Account, method_id: str) -> StripeObject:
    """The kept payment method of this ID, or a new one for a test ID like `pm_card_visa`.

    Raises:
        StripeError: `resource_missing`.
    """
    if account.find(method_id) is None and method_id in CARDS_BY_TOKEN:
        return account.add(new_card(CARDS_BY_TOKEN[method_id], billing_details()))
    return account.get("payment_method", method_id, "payment_method")


@operation("POST /v1/payment_methods")
def create(call: Call) -> StripeObject:
    """Create a payment method."""
    return call.account.add(from_params(call.params))


@operation("GET /v1/payment_methods/{payment_method}")
def retrieve(call: Call) -> StripeObject:
    """The payment method of this ID."""
    return call.target("payment_method", "payment_method")


@operation("POST /v1/payment_methods/{payment_method}")
def modify(call: Call) -> StripeObject:
    """Change metadata and billing details."""
    method = retrieve(call)
    update(method, call.params, ("allow_redisplay",))
    sent = call.params.get("billing_details")
    if sent:
        method["billing_details"] = billing_details({**method["billing_details"], **sent})
    return method


@operation("POST /v1/payment_methods/{payment_method}/attach")
def attach(call: Call) -> StripeObject:
    """Save the payment method on a customer."""
    method = named(call.account, call.path["payment_method"])
    if "customer" not in call.params:
        raise missing_parameter("customer")
    customer = call.account.get("customer", call.params["customer"], "customer")
    if method["customer"] is not None:
        raise invalid("The payment method is already attached to a customer.", "customer")
    method["customer"] = customer["id"]
    call.emulator.emit(call.account, "payment_method.attached", method)
    return method


@operation("POST /v1/payment_methods/{payment_method}/detach")
def detach(call: Call) -> StripeObject:
    """Take the payment method from its customer."""
    method = retrieve(call)
    previous = {"customer": method["customer"]}
    method["customer"] = None
    call.emulator.emit(call.account, "payment_method.detached", method, previous)
    return method


@operation("GET /v1/customers/{customer}/payment_methods")
def list_of_customer(call: Call) -> StripeObject:
    """A customer's saved payment methods, the newest first."""
    customer = call.target("customer", "customer")
    found = (
        method
        for method in call.account.newest_first("payment_method")
        if method["customer"] == customer["id"]
        and ("type" not in call.params or method["type"] == call.params["type"])
    )
    url = f"/v1/customers/{customer['id']}/payment_methods"
    return page(call.account, found, call.params, url)


@operation("GET /v1/payment_methods")
def list_all(call: Call) -> StripeObject:
    """Payment methods, the newest first."""
    wanted = {name: call.params[name] for name in ("customer", "type") if name in call.params}
    found = (
        method
        for method in call.account.newest_first("payment_method")
        if all(method[name] == value for name, value in wanted.items())
    )
    return page(call.account, found, call.params, "/v1/payment_methods")
