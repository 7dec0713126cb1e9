"""Where events are delivered to: webhook endpoints over HTTP, and `stripe listen`."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import httpx

from .store import StripeObject

ANSWER_TIMEOUT_S: Final = 20.0
BODY_LIMIT: Final = 4_000
"""So many characters of an answer are kept for the dashboard."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status with headers and body, or the reason why nothing came."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    error: str | None = None

    @property
    def accepted(self) -> bool:
        """Only a 2xx acknowledges an event; a redirect is a failure."""
        return self.status is not None and httpx.codes.is_success(self.status)


class Target(Protocol):
    """Something that takes events."""

    @property
    def id(self) -> str:
        """The endpoint's ID, or the listener's."""
        ...

    @property
    def url(self) -> str:
        """Where deliveries go, for people to read."""
        ...

    @property
    def retries(self) -> bool:
        """Whether failed deliveries are tried again."""
        ...

    def secrets(self) -> list[str]:
        """Every secret that signs now."""
        ...

    def wants(self, event: StripeObject) -> bool:
        """Whether it asked for events of this type and account."""
        ...

    def rendered(self, event: StripeObject) -> StripeObject:
        """The event in the form that it takes."""
        ...

    async def send(self, event: StripeObject, headers: dict[str, str], body: bytes) -> Answer:
        """Deliver once and wait for the answer."""
        ...


async def post(client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """Deliver over HTTP without following redirects."""
    try:
        response = await client.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return Answer(error=f"{type(error).__name__}: {error}".rstrip(": "))
    return Answer(response.status_code, dict(response.headers), response.text[:BODY_LIMIT])
