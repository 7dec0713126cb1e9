"""Lists with cursors. See "Pagination" in Stripe's API reference, of v1 and of v2."""

import base64
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from .errors import invalid, require_one_of
from .expand import render
from .params import Params
from .store import Account, StripeObject

DEFAULT_LIMIT: Final = 10
DEFAULT_LIMIT_V2: Final = 20
MAX_LIMIT: Final = 100


def list_object(url: str, data: list[Any], *, has_more: bool = False) -> StripeObject:
    """A list as Stripe writes it."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def page(
    account: Account, objects: Iterable[StripeObject], params: Params, url: str
) -> StripeObject:
    """The page of `objects` that the cursor parameters ask for, its items expanded.

    Raises:
        StripeError: If the limit is not between 1 and 100, or a cursor is unknown or one of two.
    """
    require_one_of(params, "ending_before", "starting_after")
    limit = _limit(params, DEFAULT_LIMIT)
    cut, has_more = _cut(objects, params, limit)
    paths = params.get("expand", [])
    inner = [path.removeprefix("data.") for path in paths if path.startswith("data.")]
    if len(inner) != len(paths):
        raise invalid("This property cannot be expanded; lists expand below `data.`", "expand")
    return list_object(url, [render(account, obj, inner) for obj in cut], has_more=has_more)


def page_v2(objects: Iterable[StripeObject], params: Params, url: str) -> StripeObject:
    """A page as v2 lists; `params` are those that `unpacked` gave.

    Raises:
        StripeError: If the limit is not between 1 and 100.
    """
    limit = _limit(params, DEFAULT_LIMIT_V2)
    cut, has_more = _cut(objects, params, limit)
    following = {**params, "starting_after": cut[-1]["id"]} if has_more else None
    return {
        "data": cut,
        "next_page_url": f"{url}?page={_packed(following)}" if following else None,
        "previous_page_url": None,
    }


def _packed(params: Params) -> str:
    return base64.urlsafe_b64encode(json.dumps(params).encode()).decode().rstrip("=")


def unpacked(params: Params) -> Params:
    """The parameters of a list of v2, whose further pages are asked for by one token for all.

    Raises:
        StripeError: If the page is none of ours.
    """
    if "page" not in params:
        return params
    token: str = params["page"]
    try:
        kept = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise invalid(f"Invalid page: {token}", "page")
    return kept


def _limit(params: Params, default: int) -> int:
    limit: int = params.get("limit", default)
    if not 1 <= limit <= MAX_LIMIT:
        bound = "greater than or equal to 1" if limit < 1 else f"less than or equal to {MAX_LIMIT}"
        raise invalid(
            f"This value must be {bound} (it currently is '{limit}').",
            "limit",
            "parameter_invalid_integer",
        )
    return limit


def _cut(
    objects: Iterable[StripeObject], params: Params, limit: int
) -> tuple[list[StripeObject], bool]:
    if "ending_before" in params:
        before = list(_until(objects, params["ending_before"]))
        return before[-limit:], len(before) > limit
    iterator = iter(objects)
    if "starting_after" in params:
        cursor = params["starting_after"]
        if not any(obj["id"] == cursor for obj in iterator):
            raise _unknown_cursor(cursor, "starting_after")
    found = list(islice(iterator, limit + 1))
    return found[:limit], len(found) > limit


def _until(objects: Iterable[StripeObject], cursor: str) -> Iterable[StripeObject]:
    found: list[StripeObject] = []
    for obj in objects:
        if obj["id"] == cursor:
            return found
        found.append(obj)
    raise _unknown_cursor(cursor, "ending_before")


def _unknown_cursor(cursor: str, param: str) -> Exception:
    return invalid(f"No such object: '{cursor}'", param, "resource_missing")


def in_range(value: float, wanted: float | Mapping[str, float] | None) -> bool:
    """Whether a timestamp fits a filter such as `created[gte]`."""
    if wanted is None:
        return True
    if isinstance(wanted, int | float):
        return value == wanted
    return (
        value > wanted.get("gt", value - 1)
        and value >= wanted.get("gte", value)
        and value < wanted.get("lt", value + 1)
        and value <= wanted.get("lte", value)
    )


def first_page(url: str, items: list[StripeObject]) -> StripeObject:
    """The list inside an object: its first ten items."""
    return list_object(url, items[:DEFAULT_LIMIT], has_more=len(items) > DEFAULT_LIMIT)
