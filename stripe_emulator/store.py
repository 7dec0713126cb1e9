"""Everything the emulator remembers, by Stripe account.

Objects are the JSON objects that the API answers with. A key that begins with an underscore
is the emulator's own note on the object; `expand.render` leaves it out.
"""

from collections.abc import Iterator
from typing import Any, Final

from .errors import resource_missing

StripeObject = dict[str, Any]

PLATFORM_ACCOUNT: Final = "acct_1EmulatorPlatform"
MAX_EVENTS: Final = 100_000
"""Older events are forgotten; Stripe keeps them for 30 days."""


class Account:
    """The objects of one Stripe account: the platform's own, or a connected one."""

    def __init__(self, account_id: str) -> None:
        self.id = account_id
        self._by_id: dict[str, StripeObject] = {}
        self._by_kind: dict[str, dict[str, StripeObject]] = {}

    def add(self, obj: StripeObject) -> StripeObject:
        """Keep a new object and return it."""
        of_kind = self._by_kind.setdefault(obj["object"], {})
        self._by_id[obj["id"]] = of_kind[obj["id"]] = obj
        if obj["object"] == "event" and len(of_kind) > MAX_EVENTS:
            oldest = next(iter(of_kind))
            del of_kind[oldest], self._by_id[oldest]
        return obj

    def remove(self, obj: StripeObject) -> None:
        """Forget an object."""
        del self._by_id[obj["id"]]
        del self._by_kind[obj["object"]][obj["id"]]

    def find(self, object_id: str) -> StripeObject | None:
        """The object with this ID, of whatever kind."""
        return self._by_id.get(object_id)

    def get(self, kind: str, object_id: str, param: str | None = None) -> StripeObject:
        """The object of this kind and ID.

        Raises:
            StripeError: `resource_missing`; `param` names the parameter that held the ID.
        """
        obj = self._by_kind.get(kind, {}).get(object_id)
        if obj is None:
            raise resource_missing(kind, object_id, param)
        return obj

    def newest_first(self, kind: str) -> Iterator[StripeObject]:
        """All objects of a kind, the newest first; none may be added while this is read."""
        return reversed(self._by_kind.get(kind, {}).values())

    def dump(self) -> list[StripeObject]:
        """All objects in the order of their creation within each kind."""
        return [obj for of_kind in self._by_kind.values() for obj in of_kind.values()]


class Store:
    """All accounts."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self.platform = self.account(PLATFORM_ACCOUNT)

    def account(self, account_id: str) -> Account:
        """The account of this ID; it comes into being when it is first named."""
        return self._accounts.setdefault(account_id, Account(account_id))

    def accounts(self) -> list[Account]:
        """Every account named so far, the platform first."""
        return list(self._accounts.values())

    def find(self, kind: str, object_id: str) -> tuple[Account, StripeObject]:
        """The object of this kind and ID in whatever account has it.

        Raises:
            StripeError: `resource_missing`.
        """
        for account in self._accounts.values():
            obj = account.find(object_id)
            if obj is not None and obj["object"] == kind:
                return account, obj
        raise resource_missing(kind, object_id)

    def clear(self) -> None:
        """Forget everything."""
        self._accounts.clear()
        self.platform = self.account(PLATFORM_ACCOUNT)

    def dump(self) -> dict[str, list[StripeObject]]:
        """Everything, as JSON can hold it."""
        return {account.id: account.dump() for account in self._accounts.values()}

    def load(self, data: dict[str, list[StripeObject]]) -> None:
        """Replace everything with what `dump` gave."""
        self.clear()
        for account_id, objects in data.items():
            account = self.account(account_id)
            for obj in objects:
                account.add(obj)
