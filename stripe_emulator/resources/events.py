"""Events over the API. See "Events" in Stripe's API reference."""

from ..errors import require_one_of
from ..events import matches
from ..operations import Call, operation
from ..paging import in_range, page
from ..store import StripeObject


@operation("GET /v1/events/{id}")
def retrieve(call: Call) -> StripeObject:
    """The event of this ID."""
    return call.target("event", "id")


@operation("GET /v1/events")
def list_all(call: Call) -> StripeObject:
    """Events, the newest first; `delivery_success` tells those that every endpoint took.

    Without it are those that are under way, given up, held or dropped.
    """
    params = call.params
    require_one_of(params, "type", "types")
    wanted = params.get("types") or ([params["type"]] if "type" in params else ["*"])
    found = (
        event
        for event in call.account.newest_first("event")
        if matches(event["type"], wanted)
        and in_range(event["created"], params.get("created"))
        and (
            "delivery_success" not in params
            or event.get("_undelivered", False) is not params["delivery_success"]
        )
    )
    return page(call.account, found, params, "/v1/events")


@operation(
    "POST /v1/events/{id}/retry",
    {
        "object": {
            "account": "string",
            "expand": {"array": "string"},
            "for_stripecli": "boolean",
            "webhook_endpoint": "string",
        }
    },
)
def retry(call: Call) -> StripeObject:
    """Deliver an event once more, as `stripe events resend` asks.

    Stripe does not document it. It goes to the endpoint named, else to every `stripe listen`,
    else, when none is connected, to all that want the event.
    """
    event = retrieve(call)
    only = None
    if "webhook_endpoint" in call.params:
        only = [call.params["webhook_endpoint"]]
    elif call.params.get("for_stripecli") and call.emulator.listeners:
        only = list(call.emulator.listeners)
    call.emulator.deliveries.dispatch(event, only)
    return event
