"""What resources share: metadata, updates, references."""

import re
from collections.abc import Iterable
from typing import Final

from ..errors import invalid
from ..params import Params
from ..store import Account, StripeObject

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
MetadataParam = dict[str, str] | str


def is_email(text: str) -> bool:
    """Whether it looks like an e-mail address."""
    return _EMAIL.fullmatch(text) is not None


def check_email(text: str, param: str) -> None:
    """Refuse what is no e-mail address.

    Raises:
        StripeError: `email_invalid`.
    """
    if not is_email(text):
        raise invalid(f"Invalid email address: {text}", param, "email_invalid")


def metadata(sent: MetadataParam | None) -> dict[str, str]:
    """Metadata of a new object."""
    return dict(sent) if isinstance(sent, dict) else {}


def merge_metadata(obj: StripeObject, sent: MetadataParam) -> None:
    """Set the keys sent, drop those sent empty; an empty string drops them all."""
    if isinstance(sent, str):
        obj["metadata"] = {}
        return
    merged = {**obj["metadata"], **sent}
    obj["metadata"] = {key: value for key, value in merged.items() if value != ""}


def update(obj: StripeObject, params: Params, fields: Iterable[str]) -> StripeObject:
    """Set the fields that were sent (empty unsets) and give their former values."""
    before = {name: obj[name] for name in (*fields, "metadata") if name in params}
    for name in fields:
        if name in params:
            empty: list[object] | None = [] if isinstance(obj[name], list) else None
            obj[name] = empty if params[name] == "" else params[name]
    if "metadata" in params:
        merge_metadata(obj, params["metadata"])
    return {name: value for name, value in before.items() if obj[name] != value}


def require(account: Account, kind: str, params: Params, name: str) -> StripeObject | None:
    """The object that a parameter names, if it was sent.

    Raises:
        StripeError: `resource_missing` for the parameter.
    """
    object_id = params.get(name)
    return account.get(kind, object_id, name) if object_id else None
