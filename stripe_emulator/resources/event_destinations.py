"""Event destinations: webhook endpoints of API v2, which take thin events or snapshots.

See "Event Destinations" of API v2 in Stripe's API reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..compatibility import event_at
from ..config import API_VERSION
from ..emulator import Emulator
from ..errors import invalid, missing_parameter
from ..events import matches
from ..expand import render
from ..ids import new_id, now
from ..operations import Call, operation
from ..paging import page_v2, unpacked
from ..params import Params, thin_types
from ..store import StripeObject
from ..targets import Answer, post
from ..thin_events import PING, new_ping, notification, thin_type, timestamp
from .common import merge_metadata, metadata
from .webhook_endpoints import active_secrets, check_url, new_secret

KIND = "v2.core.event_destination"
SELF = "@self"
ACCOUNTS = "@accounts"
_OLDER_NAMES = {"self": SELF, "other_accounts": ACCOUNTS}
_LIST_SHAPE = {
    "object": {"include": {"array": "string"}, "limit": "integer", "page": "string"},
}


@dataclass(frozen=True, slots=True)
class DestinationTarget:
    """A destination as something that takes events."""

    emulator: Emulator
    destination: StripeObject
    id: str
    url: str
    retries: bool = True

    def secrets(self) -> list[str]:
        """The current secret and those that are being rolled over."""
        return active_secrets(self.destination)

    def wants(self, event: StripeObject) -> bool:
        """Whether it is enabled for the type and for the account."""
        thin = self.destination["event_payload"] == "thin"
        name = thin_type(event) if thin else event["type"]
        origin = ACCOUNTS if "account" in event else SELF
        return (
            name is not None
            and self.destination["status"] == "enabled"
            and origin in self.destination["events_from"]
            and matches(name, self.destination["enabled_events"])
        )

    def rendered(self, event: StripeObject) -> StripeObject:
        """The notification, or the event with its object as of the version asked for."""
        version = self.destination["snapshot_api_version"]
        if version is None or event["object"] != "event":
            return notification(event)
        return event_at(event, version)

    async def send(self, event: StripeObject, headers: dict[str, str], body: bytes) -> Answer:  # noqa: ARG002
        """Post the event."""
        return await post(self.emulator.client, self.url, headers, body)


def targets(emulator: Emulator) -> Iterator[DestinationTarget]:
    """Every destination there is."""
    for destination in emulator.store.platform.newest_first(KIND):
        yield DestinationTarget(emulator, destination, destination["id"], destination["_url"])


@operation("POST /v2/core/event_destinations")
def create(call: Call) -> StripeObject:
    """Set up a destination; only this answer can hold the secret.

    Raises:
        StripeError: If it is no webhook endpoint, or asks for events that there are not.
    """
    params = call.params
    thin = params["event_payload"] == "thin"
    if params["type"] != "webhook_endpoint":
        raise invalid("This stand-in delivers to webhook endpoints only", "type")
    if "webhook_endpoint" not in params:
        raise missing_parameter("webhook_endpoint")
    if thin and "snapshot_api_version" in params:
        raise invalid("Thin events have no API version", "snapshot_api_version")
    url = params["webhook_endpoint"]["url"]
    check_url(url, "webhook_endpoint[url]")
    _check_types(params["enabled_events"], thin=thin)
    created = timestamp(now())
    destination = call.account.add(
        {
            "id": new_id("ed_test"),
            "object": KIND,
            "amazon_eventbridge": None,
            "azure_event_grid": None,
            "created": created,
            "description": params.get("description", ""),
            "enabled_events": params["enabled_events"],
            "event_payload": params["event_payload"],
            "events_from": _origins(params.get("events_from", [SELF])),
            "livemode": False,
            "metadata": metadata(params.get("metadata")),
            "name": params["name"],
            "snapshot_api_version": None
            if thin
            else params.get("snapshot_api_version", API_VERSION),
            "status": "enabled",
            "status_details": None,
            "type": "webhook_endpoint",
            "updated": created,
            "_secrets": [{"secret": new_secret(), "expires_at": None}],
            "_url": url,
        }
    )
    return _answer(destination, params, secret=destination["_secrets"][0]["secret"])


def _check_types(names: list[str], *, thin: bool) -> None:
    for name in names:
        known = name in {"*", PING} or name in thin_types()
        if thin and not known:
            raise invalid(
                f"Invalid enabled_events: there is no thin event {name}", "enabled_events"
            )
        if not thin and name.startswith(("v1.", "v2.")):
            raise invalid(f"Invalid enabled_events: {name} is a thin event", "enabled_events")


def _origins(sent: list[str]) -> list[str]:
    """Where events come from, by the names of this API version."""
    origins = [_OLDER_NAMES.get(name, name) for name in sent]
    if not origins or not {SELF, ACCOUNTS}.issuperset(origins):
        raise invalid(f"Invalid events_from: must be {SELF}, {ACCOUNTS} or both", "events_from")
    return origins


def _answer(destination: StripeObject, params: Params, secret: str | None = None) -> StripeObject:
    """The destination with what was asked to be included."""
    included = params.get("include", [])
    shown = {
        "signing_secret": secret if "webhook_endpoint.signing_secret" in included else None,
        "url": destination["_url"] if "webhook_endpoint.url" in included else None,
    }
    return {**destination, "webhook_endpoint": shown}


@operation("GET /v2/core/event_destinations/{id}")
def retrieve(call: Call) -> StripeObject:
    """The destination of this ID."""
    return _answer(call.target(KIND, "id"), call.params)


@operation("GET /v2/core/event_destinations", _LIST_SHAPE)
def list_all(call: Call) -> StripeObject:
    """Destinations, the newest first."""
    params = unpacked(call.params)
    found = call.account.newest_first(KIND)
    listed = page_v2(found, params, "/v2/core/event_destinations")
    shown = [render(call.account, _answer(one, params)) for one in listed["data"]]
    return {**listed, "data": shown}


@operation("POST /v2/core/event_destinations/{id}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent."""
    destination, params = call.target(KIND, "id"), call.params
    if "enabled_events" in params:
        _check_types(params["enabled_events"], thin=destination["event_payload"] == "thin")
    if "webhook_endpoint" in params:
        check_url(params["webhook_endpoint"]["url"], "webhook_endpoint[url]")
        destination["_url"] = params["webhook_endpoint"]["url"]
    if "metadata" in params:
        merge_metadata(destination, params["metadata"])
    for name in ("description", "enabled_events", "name"):
        destination[name] = params.get(name, destination[name])
    destination["updated"] = timestamp(now())
    return _answer(destination, params)


@operation("POST /v2/core/event_destinations/{id}/disable")
def disable(call: Call) -> StripeObject:
    """Stop delivering to the destination."""
    disabled = {"disabled": {"reason": "user"}}
    return _switch(call, {"status": "disabled", "status_details": disabled})


@operation("POST /v2/core/event_destinations/{id}/enable")
def enable(call: Call) -> StripeObject:
    """Deliver again what happens from now on."""
    return _switch(call, {"status": "enabled", "status_details": None})


def _switch(call: Call, changed: StripeObject) -> StripeObject:
    destination = call.target(KIND, "id")
    destination |= {**changed, "updated": timestamp(now())}
    return _answer(destination, call.params)


@operation("POST /v2/core/event_destinations/{id}/ping")
def ping(call: Call) -> StripeObject:
    """Deliver an event that only shows that the destination is reached."""
    destination = call.target(KIND, "id")
    event = new_ping(call.account, destination["id"])
    call.emulator.deliveries.dispatch(event, [destination["id"]])
    return event


@operation("DELETE /v2/core/event_destinations/{id}")
def delete(call: Call) -> StripeObject:
    """Forget a destination."""
    destination = call.target(KIND, "id")
    call.account.remove(destination)
    return {"id": destination["id"], "object": KIND}
