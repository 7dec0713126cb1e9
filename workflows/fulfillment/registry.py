"""All fulfillment kinds: ours, and those of installed packages.

A package brings kinds by entry points of the group `checkout_fulfillment.kinds`, each of which
names a `FulfillmentKind`; docs/kinds.md shows one. They are loaded once, when this module is
imported, so that every workflow of a process sees the same ones.
"""

import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from domain.catalog import UNASSIGNED
from workflows.fulfillment.access import ACCESS
from workflows.fulfillment.download import DOWNLOAD
from workflows.fulfillment.kind import FulfillmentKind, KindContext
from workflows.fulfillment.license_key import LICENSE_KEY
from workflows.fulfillment.manual import MANUAL
from workflows.fulfillment.shipment import SHIPMENT
from workflows.fulfillment.webhook import WEBHOOK

GROUP = "checkout_fulfillment.kinds"
_NAME = re.compile(r"[a-z][a-z0-9_]*")

OURS: tuple[FulfillmentKind[Any], ...] = (
    ACCESS,
    DOWNLOAD,
    LICENSE_KEY,
    SHIPMENT,
    MANUAL,
    WEBHOOK,
)


class KindError(Exception):
    """An installed package brings a kind that cannot be used; the message names both."""


def with_installed(found: Iterable[EntryPoint]) -> dict[str, FulfillmentKind[Any]]:
    """Our kinds and those of these entry points, by name.

    Raises:
        KindError: One of them cannot be loaded, is no kind, or has a name that is taken.
    """
    kinds = {kind.name: kind for kind in OURS}
    for entry_point in found:
        package = entry_point.dist.name if entry_point.dist else "an unknown package"
        origin = f"{entry_point.value} of {package}"
        try:
            kind = entry_point.load()
        except Exception as error:
            raise KindError(f"{origin} cannot be loaded: {error}") from error
        if not isinstance(kind, FulfillmentKind):
            raise KindError(f"{origin} is no FulfillmentKind but a {type(kind).__name__}")
        if not _NAME.fullmatch(kind.name):
            raise KindError(
                f"{origin}: kind {kind.name!r} needs a name of small letters, digits and _"
            )
        if kind.name in {*kinds, UNASSIGNED}:
            raise KindError(f"{origin}: there is a kind {kind.name!r} already")
        kinds[kind.name] = kind
    return kinds


KINDS = with_installed(entry_points(group=GROUP))


def activities_of_kinds(context: KindContext) -> list[Callable[..., Any]]:
    """The activities that kinds of other packages bring along, for the worker."""
    return [
        activity
        for kind in KINDS.values()
        if kind.activities is not None
        for activity in kind.activities(context)
    ]
