"""Webhook endpoints, their secrets, and how they take events.

See "Webhook Endpoints" in Stripe's API reference and "Roll endpoint signing secrets" in
"Receive Stripe events in your webhook endpoint".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..clock import current_clock
from ..compatibility import event_at
from ..config import API_VERSION
from ..emulator import Emulator
from ..errors import invalid
from ..events import matches
from ..ids import new_id, now, random_text
from ..operations import Call, operation
from ..paging import page
from ..store import StripeObject
from ..targets import Answer, post
from .common import metadata, update

MAX_OVERLAP_S: Final = 24 * 3600
_SECRET_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class EndpointTarget:
    """A registered endpoint as something that takes events."""

    emulator: Emulator
    endpoint: StripeObject
    id: str
    url: str
    retries: bool = True

    def secrets(self) -> list[str]:
        """The current secret and those that are being rolled over."""
        return active_secrets(self.endpoint)

    def wants(self, event: StripeObject) -> bool:
        """Whether it is enabled for the type; Connect endpoints get connected accounts' only."""
        return (
            self.endpoint["status"] == "enabled"
            and self.endpoint["_connect"] == ("account" in event)
            and matches(event["type"], self.endpoint["enabled_events"])
        )

    def rendered(self, event: StripeObject) -> StripeObject:
        """The event as of the endpoint's version."""
        return event_at(event, self.endpoint["api_version"] or API_VERSION)

    async def send(self, event: StripeObject, headers: dict[str, str], body: bytes) -> Answer:  # noqa: ARG002
        """Post the event."""
        return await post(self.emulator.client, self.url, headers, body)


def targets(emulator: Emulator) -> Iterator[EndpointTarget]:
    """Every endpoint there is."""
    for endpoint in emulator.store.platform.newest_first("webhook_endpoint"):
        yield EndpointTarget(emulator, endpoint, endpoint["id"], endpoint["url"])


def active_secrets(endpoint: StripeObject) -> list[str]:
    """The secrets that sign now, the newest first."""
    return [
        kept["secret"]
        for kept in endpoint["_secrets"]
        if kept["expires_at"] is None or kept["expires_at"] > current_clock.get().time()
    ]


def new_secret() -> str:
    """A signing secret."""
    return f"whsec_{random_text(_SECRET_LENGTH)}"


def check_url(url: str, param: str) -> None:
    """Refuse what events cannot be delivered to.

    Raises:
        StripeError: With Stripe's words.
    """
    if not url.startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", param)


def new_endpoint(url: str, enabled_events: list[str], secret: str | None = None) -> StripeObject:
    """An endpoint with one secret."""
    secret = secret or new_secret()
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "created": now(),
        "description": None,
        "enabled_events": enabled_events,
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_connect": False,
        "_secrets": [{"secret": secret, "expires_at": None}],
    }


def ensure_endpoint(emulator: Emulator, url: str, secret: str) -> StripeObject:
    """Register an endpoint for every event, or give the one at this URL the secret."""
    for endpoint in emulator.store.platform.newest_first("webhook_endpoint"):
        if endpoint["url"] == url:
            endpoint["_secrets"] = [{"secret": secret, "expires_at": None}]
            return endpoint
    return emulator.store.platform.add(new_endpoint(url, ["*"], secret))


@operation("POST /v1/webhook_endpoints")
def create(call: Call) -> StripeObject:
    """Register an endpoint; only this answer holds the secret."""
    params = call.params
    check_url(params["url"], "url")
    endpoint = new_endpoint(params["url"], params["enabled_events"])
    endpoint["api_version"] = params.get("api_version")
    endpoint["description"] = params.get("description")
    endpoint["metadata"] = metadata(params.get("metadata"))
    endpoint["_connect"] = params.get("connect", False)
    call.account.add(endpoint)
    return {**endpoint, "secret": endpoint["_secrets"][0]["secret"]}


@operation("GET /v1/webhook_endpoints/{webhook_endpoint}")
def retrieve(call: Call) -> StripeObject:
    """The endpoint of this ID."""
    return call.target("webhook_endpoint", "webhook_endpoint")


@operation("POST /v1/webhook_endpoints/{webhook_endpoint}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent, or switch the endpoint off and on."""
    endpoint = retrieve(call)
    update(endpoint, call.params, ("description", "enabled_events", "url"))
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if call.params["disabled"] else "enabled"
    return endpoint


@operation("DELETE /v1/webhook_endpoints/{webhook_endpoint}")
def delete(call: Call) -> StripeObject:
    """Forget an endpoint."""
    endpoint = retrieve(call)
    call.account.remove(endpoint)
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


@operation("GET /v1/webhook_endpoints")
def list_all(call: Call) -> StripeObject:
    """Endpoints, the newest first."""
    endpoints = call.account.newest_first("webhook_endpoint")
    return page(call.account, endpoints, call.params, "/v1/webhook_endpoints")


def roll_secret(endpoint: StripeObject, overlap_s: float) -> str:
    """Give the endpoint a new secret; the old ones sign along for so many seconds.

    Raises:
        StripeError: If the overlap is negative or longer than Stripe's 24 hours.
    """
    if not 0 <= overlap_s <= MAX_OVERLAP_S:
        raise invalid(f"The overlap must be between 0 and {MAX_OVERLAP_S} seconds", "overlap_s")
    ends = current_clock.get().time() + overlap_s
    for kept in endpoint["_secrets"]:
        kept["expires_at"] = min(kept["expires_at"] or ends, ends)
    secret = new_secret()
    endpoint["_secrets"].insert(0, {"secret": secret, "expires_at": None})
    return secret
