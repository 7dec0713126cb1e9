"""The table of API operations: resource modules add to it, the HTTP layer looks up in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import resource_missing
from .params import Params, Shape
from .store import Account, StripeObject

if TYPE_CHECKING:
    from .emulator import Emulator


_ERROR_NAMES: Final = {"customer": "id", "subscription_exposed_id": "id"}
"""Parts of URLs that Stripe's errors call otherwise."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an operation.

    Attributes:
        emulator: All of the emulator.
        account: The account that the request is about (`Stripe-Account`).
        params: Checked and converted parameters, without `expand`.
        path: The parts of the URL that the operation's template names.
        base_url: Where browsers reach the emulator, without a trailing slash.
    """

    emulator: "Emulator"
    account: Account
    params: Params
    path: dict[str, str]
    base_url: str

    def target(self, kind: str, part: str) -> StripeObject:
        """The object that a part of the URL names.

        Raises:
            StripeError: `resource_missing` with status 404; it names the part, as Stripe does.
        """
        obj = self.account.find(self.path[part])
        if obj is None or obj["object"] != kind:
            raise resource_missing(kind, self.path[part], in_url=_ERROR_NAMES.get(part, part))
        return obj


Handler = Callable[[Call], StripeObject]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API.

    Attributes:
        name: Method and path template, such as `GET /v1/products/{id}`.
        handler: What does it; it returns a stored object, or a list that is rendered already.
        shape: The type of the parameters where the SDK has none; None means the SDK's.
    """

    name: str
    handler: Handler
    shape: Shape | None
    pattern: re.Pattern[str]


OPERATIONS: Final[list[Operation]] = []


def operation(name: str, shape: Shape | None = None) -> Callable[[Handler], Handler]:
    """Add a function to the table under a method and path template."""

    def register(handler: Handler) -> Handler:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(name))
        OPERATIONS.append(Operation(name, handler, shape, re.compile(pattern)))
        return handler

    return register


def match(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation behind a method and path, and the named parts of the path."""
    line = f"{method} {path}"
    for candidate in OPERATIONS:
        found = candidate.pattern.fullmatch(line)
        if found:
            return candidate, found.groupdict()
    return None
