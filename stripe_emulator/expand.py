"""Turns stored objects into answers: hidden notes left out, `expand` paths followed.

See "Expanding responses" in Stripe's API reference.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from .errors import invalid
from .params import expandable_paths
from .store import Account, StripeObject

MAX_DEPTH: Final = 4

Includer = Callable[[Account, StripeObject], Any]
"""Makes a field from the stored object that it belongs to."""
_includers: dict[tuple[str, str], Includer] = {}


def includable(kind: str, field: str) -> Callable[[Includer], Includer]:
    """Register how a field is made that answers hold only when it is expanded."""

    def register(includer: Includer) -> Includer:
        _includers[kind, field] = includer
        return includer

    return register


def require_depth(paths: list[str]) -> None:
    """Refuse paths that lead too deep; the `data` of a list is a level like any other.

    Raises:
        StripeError: With Stripe's words.
    """
    for path in paths:
        if path.count(".") >= MAX_DEPTH:
            raise invalid(
                f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}",
                "expand",
            )


def render(account: Account, obj: StripeObject, expand: list[str] | None = None) -> StripeObject:
    """The object as the API answers with it; the stored object stays untouched.

    Raises:
        StripeError: If a path cannot be expanded.
    """
    if not expand:
        return {key: value for key, value in obj.items() if key[0] != "_"}
    expanded = dict(obj)
    for path in expand:
        place = _Place(expanded.get("object", ""), "", expanded)
        _expand(account, expanded, path.split("."), place, path)
    public: StripeObject = _public(expanded)
    return public


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an expansion has come to: inside which object, and on what way within it."""

    kind: str
    way: str
    owner: StripeObject


def _public(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value without the emulator's notes; metadata is the merchant's, whatever its keys."""
    if isinstance(value, list):
        return [_public(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: inner if key == "metadata" else _public(inner)
        for key, inner in value.items()
        if key[:1] != "_"
    }


def _expand(
    account: Account, node: StripeObject, parts: list[str], place: _Place, path: str
) -> None:
    """Expand the first part below the node, which is at that place."""
    name, rest = parts[0], parts[1:]
    value = node.get(name)
    way = f"{place.way}{name}"
    if not _leads_on(place.kind, way) and not (rest and isinstance(value, (dict, list))):
        raise _cannot_expand(path)
    includer = _includers.get((place.kind, way))
    if includer is not None and not isinstance(value, (dict, list)):
        value = includer(account, place.owner)
    if value is None:
        return
    node[name] = _below(account, value, rest, replace(place, way=way), path)


def _below(
    account: Account,
    value: Any,  # noqa: ANN401 - any JSON value
    rest: list[str],
    place: _Place,
    path: str,
) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_below(account, item, rest, place, path) for item in value]
    if isinstance(value, str):
        _require_expandable(place.kind, place.way, path)
        value = account.find(value) or value
    if not isinstance(value, dict):
        if rest:
            raise _cannot_expand(path)
        return value
    copy = dict(value)
    if rest:
        inner = (
            _Place(copy["object"], "", copy)
            if "object" in copy
            else replace(place, way=f"{place.way}.")
        )
        _expand(account, copy, rest, inner, path)
    return copy


def _leads_on(kind: str, way: str) -> bool:
    return (
        any(known == way or known.startswith(f"{way}.") for known in expandable_paths(kind))
        or (kind, way) in _includers
    )


def _require_expandable(kind: str, way: str, path: str) -> None:
    if way not in expandable_paths(kind):
        raise _cannot_expand(path)


def _cannot_expand(path: str) -> Exception:
    return invalid(
        f"This property cannot be expanded ({path}). You may want to try expanding"
        f" '{path.rpartition('.')[0] or 'data'}' instead.",
        "expand",
    )
