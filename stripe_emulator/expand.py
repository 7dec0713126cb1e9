"""Turns stored objects into answers: hidden notes left out, `expand` paths followed.

See "Expanding responses" in Stripe's API reference.
"""

from collections.abc import Callable
from typing import Any, Final

from .errors import invalid
from .params import expandable_paths
from .store import Account, StripeObject

MAX_DEPTH: Final = 4

Includer = Callable[[Account, StripeObject], Any]
_includers: dict[tuple[str, str], Includer] = {}


def includable(kind: str, field: str) -> Callable[[Includer], Includer]:
    """Register how a field is made that answers hold only when it is expanded."""

    def register(includer: Includer) -> Includer:
        _includers[kind, field] = includer
        return includer

    return register


def render(account: Account, obj: StripeObject, expand: list[str] | None = None) -> StripeObject:
    """The object as the API answers with it; the stored object stays untouched.

    Raises:
        StripeError: If a path cannot be expanded or is deeper than four levels.
    """
    public = {key: value for key, value in obj.items() if key[0] != "_"}
    for path in expand or ():
        parts = path.split(".")
        if len([part for part in parts if part != "data"]) > MAX_DEPTH:
            raise invalid(
                f"You cannot expand more than {MAX_DEPTH} levels of a property: {path}", "expand"
            )
        _expand(account, public, parts, (public.get("object", ""), ""), path)
    return public


def _expand(
    account: Account, node: StripeObject, parts: list[str], place: tuple[str, str], path: str
) -> None:
    """Expand the first part below the node; `place` is the kind around it and the way here."""
    kind, prefix = place
    name, rest = parts[0], parts[1:]
    value = node.get(name)
    way = f"{prefix}{name}"
    if not _leads_on(kind, way) and not (rest and isinstance(value, (dict, list))):
        raise _cannot_expand(path)
    includer = _includers.get((kind, way))
    if includer is not None and not isinstance(value, (dict, list)):
        value = includer(account, node)
    if value is None:
        return
    node[name] = _below(account, value, rest, (kind, way), path)


def _below(
    account: Account,
    value: Any,  # noqa: ANN401 - any JSON value
    rest: list[str],
    place: tuple[str, str],
    path: str,
) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_below(account, item, rest, place, path) for item in value]
    if isinstance(value, str):
        kind, way = place
        _require_expandable(kind, way, path)
        target = account.find(value)
        value = render(account, target) if target is not None else value
    if not isinstance(value, dict):
        if rest:
            raise _cannot_expand(path)
        return value
    copy = dict(value)
    if rest:
        kind, way = place
        inner = (copy["object"], "") if "object" in copy else (kind, f"{way}.")
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
