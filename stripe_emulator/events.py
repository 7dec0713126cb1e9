"""Events: what happened to which object, as it was at that moment.

See "Events" and "Types of events" in Stripe's API reference.
"""

import json
from contextvars import ContextVar
from typing import TypedDict

from .config import API_VERSION
from .expand import render
from .ids import new_id, now
from .store import Account, StripeObject


class Cause(TypedDict):
    """The API request behind an event, as the event names it."""

    id: str | None
    idempotency_key: str | None


current_cause: ContextVar[Cause | None] = ContextVar("current_cause", default=None)
"""The API request being answered; None while a customer or the clock acts."""


def new_event(
    account: Account,
    event_type: str,
    obj: StripeObject,
    previous: StripeObject | None = None,
    *,
    connected: bool,
) -> StripeObject:
    """Make and keep an event about the object as it is now.

    `previous` holds the former values of changed fields, for `*.updated` events.
    """
    data: StripeObject = {"object": json.loads(json.dumps(render(account, obj)))}
    if previous is not None:
        data["previous_attributes"] = previous
    event: StripeObject = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now(),
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": current_cause.get() or Cause(id=None, idempotency_key=None),
        "type": event_type,
        "_undelivered": False,
    }
    if connected:
        event["account"] = account.id
    return account.add(event)


def matches(event_type: str, wanted: list[str]) -> bool:
    """Whether a list such as `enabled_events` takes the type; `*` stands for anything."""
    return any(
        name in {"*", event_type} or (name.endswith("*") and event_type.startswith(name[:-1]))
        for name in wanted
    )
