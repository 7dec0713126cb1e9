"""Thin events: which object something happened to, without the object itself.

An event whose type has a thin form exists in both, as at Stripe. The thin one is made from the
other whenever it is asked for; its ID is made from the other's, so that it is always the same.
See "Thin events" under "How events work" in Stripe's documentation.
"""

from datetime import UTC, datetime
from typing import Final

from .errors import resource_missing
from .ids import new_id, now
from .params import thin_types
from .store import Account, StripeObject

THIN: Final = "v2.core.event"
PING: Final = "v2.core.event_destination.ping"
_PREFIX: Final = "evt_test_"
_SNAPSHOT_PREFIX: Final = "evt_"


def timestamp(at: int) -> str:
    """Seconds since 1970 as v2 writes them: RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def thin_type(event: StripeObject) -> str | None:
    """The type of the event's thin form, if it has one."""
    name = f"v1.{event['type']}"
    return name if name in thin_types() else None


def thin_event(event: StripeObject) -> StripeObject:
    """The thin form of an event that has one."""
    obj = event["data"]["object"]
    request = event["request"]
    reason = {
        "type": "request",
        "request": {"id": request["id"], "idempotency_key": request["idempotency_key"] or ""},
    }
    return {
        "id": _PREFIX + event["id"].removeprefix(_SNAPSHOT_PREFIX),
        "object": THIN,
        "changes": None,
        "context": event.get("account"),
        "created": timestamp(event["created"]),
        "livemode": False,
        "reason": reason if request["id"] else None,
        "related_object": {
            "id": obj["id"],
            "type": obj["object"],
            "url": f"/v1/{obj['object'].replace('.', '/')}s/{obj['id']}",
        },
        "snapshot_event": event["id"],
        "type": thin_type(event),
    }


def new_ping(account: Account, destination_id: str) -> StripeObject:
    """Make and keep an event that only shows that a destination is reached."""
    return account.add(
        {
            "id": new_id(_PREFIX.removesuffix("_")),
            "object": THIN,
            "changes": None,
            "context": None,
            "created": timestamp(now()),
            "livemode": False,
            "reason": None,
            "related_object": {
                "id": destination_id,
                "type": "v2.core.event_destination",
                "url": f"/v2/core/event_destinations/{destination_id}",
            },
            "snapshot_event": None,
            "type": PING,
        }
    )


def notification(event: StripeObject) -> StripeObject:
    """What is delivered of an event or ping: less than what is fetched."""
    thin = event if event["object"] == THIN else thin_event(event)
    return {name: value for name, value in thin.items() if name != "changes"}


def find(account: Account, event_id: str) -> StripeObject:
    """The thin event of this ID.

    Raises:
        StripeError: `resource_missing`.
    """
    kept = account.find(event_id)
    if kept is not None and kept["object"] == THIN:
        return kept
    if event_id.startswith(_PREFIX):
        event = account.find(_SNAPSHOT_PREFIX + event_id.removeprefix(_PREFIX))
        if event is not None and event["object"] == "event" and thin_type(event):
            return thin_event(event)
    raise resource_missing("event", event_id)
