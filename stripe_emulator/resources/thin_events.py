"""Thin events over the API. See "Events" of API v2 in Stripe's API reference."""

import heapq
from datetime import datetime
from operator import itemgetter

from ..errors import invalid
from ..operations import Call, operation
from ..paging import in_range, page_v2, unpacked
from ..store import StripeObject
from ..thin_events import THIN, find, thin_event, thin_type

_LIST_SHAPE = {
    "object": {
        "created": {"object": dict.fromkeys(("gt", "gte", "lt", "lte"), "string")},
        "limit": "integer",
        "object_id": "string",
        "page": "string",
        "types": {"array": "string"},
    }
}


@operation("GET /v2/core/events/{id}")
def retrieve(call: Call) -> StripeObject:
    """The thin event of this ID."""
    return find(call.account, call.path["id"])


@operation("GET /v2/core/events", _LIST_SHAPE)
def list_all(call: Call) -> StripeObject:
    """Thin events, the newest first."""
    params = unpacked(call.params)
    created = {
        name: _seconds(text, f"created[{name}]") for name, text in params.get("created", {}).items()
    }
    thin = (thin_event(event) for event in call.account.newest_first("event") if thin_type(event))
    pings = call.account.newest_first(THIN)
    found = (
        event
        for event in heapq.merge(thin, pings, key=itemgetter("created"), reverse=True)
        if event["type"] in params.get("types", [event["type"]])
        and event["related_object"]["id"] == params.get("object_id", event["related_object"]["id"])
        and in_range(_seconds(event["created"], "created"), created)
    )
    return page_v2(found, params, "/v2/core/events")


def _seconds(text: str, param: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise invalid(f"Invalid timestamp: {text}", param) from None
