"""Faults on demand: API calls that fail or take long, as Stripe's do on a bad day."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import StripeError

_MESSAGES = {
    400: ("Invalid request (injected)", "invalid_request_error", None),
    401: ("Invalid API Key provided (injected)", "invalid_request_error", None),
    403: ("The provided key does not have access (injected)", "invalid_request_error", None),
    404: ("No such object (injected)", "invalid_request_error", "resource_missing"),
    409: (
        "There is currently another in-progress request using this Idempotent Key (injected)",
        "idempotency_error",
        "idempotency_key_in_use",
    ),
    429: ("Request rate limit exceeded (injected)", "invalid_request_error", "rate_limit"),
}
_UNAVAILABLE = ("An unknown error occurred (injected)", "api_error", None)


@dataclass(slots=True)
class Fault:
    """What goes wrong with matching API calls.

    Attributes:
        path: A regular expression searched for in the request's path.
        method: The HTTP method, or None for any.
        status: The status to answer with instead, or None to answer as usual.
        delay_ms: How long to wait before the answer, in milliseconds.
        count: How many calls are still to be hit, or None for all from now on.
        headers: Headers of the answer, in place of those of the same name or beside them.
    """

    path: re.Pattern[str]
    method: str | None
    status: int | None
    delay_ms: int
    count: int | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        return {
            "path": self.path.pattern,
            "method": self.method,
            "status": self.status,
            "delay_ms": self.delay_ms,
            "count": self.count,
            "headers": dict(self.headers),
        }


@dataclass(slots=True)
class Hit:
    """What the faults do to one call."""

    delay_ms: int = 0
    error: StripeError | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def take(self, method: str, path: str) -> Hit:
        """Use up one count of every fault that fits; of several errors the first counts."""
        hit = Hit()
        for fault in list(self.active):
            if fault.method not in {None, method} or not fault.path.search(path):
                continue
            hit.delay_ms += fault.delay_ms
            hit.headers |= fault.headers
            if fault.status is not None and hit.error is None:
                message, error_type, code = _MESSAGES.get(fault.status, _UNAVAILABLE)
                hit.error = StripeError(
                    message, status=fault.status, error_type=error_type, code=code
                )
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self.active.remove(fault)
        return hit
