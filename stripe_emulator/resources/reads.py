"""Resources that the API only reads: what payments and subscriptions leave behind."""

from ..operations import Call, Handler, operation
from ..paging import in_range, page
from ..store import StripeObject


def _retrieve(kind: str, part: str) -> Handler:
    def retrieve(call: Call) -> StripeObject:
        return call.target(kind, part)

    return retrieve


def _list(kind: str, url: str, same: tuple[str, ...]) -> Handler:
    def list_all(call: Call) -> StripeObject:
        wanted = {name: call.params[name] for name in same if name in call.params}
        found = (
            obj
            for obj in call.account.newest_first(kind)
            if all(obj[name] == value for name, value in wanted.items())
            and in_range(obj["created"], call.params.get("created"))
        )
        return page(call.account, found, call.params, url)

    return list_all


for _kind, _collection, _part, _same in (
    ("payment_intent", "payment_intents", "intent", ("customer",)),
    ("charge", "charges", "charge", ("customer", "payment_intent")),
    ("refund", "refunds", "refund", ("charge", "payment_intent")),
    ("dispute", "disputes", "dispute", ("charge", "payment_intent")),
    (
        "radar.early_fraud_warning",
        "radar/early_fraud_warnings",
        "early_fraud_warning",
        ("charge", "payment_intent"),
    ),
    ("balance_transaction", "balance_transactions", "id", ("currency", "source", "type")),
    ("subscription", "subscriptions", "subscription_exposed_id", ("customer", "status")),
    ("invoice", "invoices", "invoice", ("customer", "status")),
    ("setup_intent", "setup_intents", "intent", ("customer", "payment_method")),
):
    _url = f"/v1/{_collection}"
    operation(f"GET {_url}/{{{_part}}}")(_retrieve(_kind, _part))
    operation(f"GET {_url}")(_list(_kind, _url, _same))
