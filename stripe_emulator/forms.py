"""Reads the bracketed form encoding of Stripe's clients, and the JSON that they send to v2.

The SDKs send `expand[0]=x`, the CLI and curl send `expand[]=x` or `items[][price]=x`, and
nobody promises an order. Brackets become nested mappings; whether a mapping with the keys
0, 1, 2 is a list is decided later, by the parameter's type: metadata may have the key `0`.
"""

import json
from collections.abc import Iterable
from typing import Union
from urllib.parse import parse_qsl

from .errors import invalid

FormValue = Union[str, "FormTree"]
FormTree = dict[str, FormValue]

MAX_FIELDS = 2_000
MAX_DEPTH = 12


def decode(text: str) -> FormTree:
    """Turn a query string or form body into nested mappings.

    Raises:
        StripeError: If the brackets do not match or there are too many fields.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise invalid(f"Too many parameters: at most {MAX_FIELDS} are read") from error
    return nest(pairs)


def decode_json(text: str) -> FormTree:
    """Turn a JSON object into what its members would be as a form; null is empty.

    Raises:
        StripeError: If it is no JSON object.
    """
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise invalid("Invalid request body: it must be a JSON object")
    return {name: _as_form(inner) for name, inner in value.items()}


def _as_form(value: object) -> FormValue:
    if isinstance(value, dict):
        return {str(name): _as_form(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return {str(index): _as_form(inner) for index, inner in enumerate(value)}
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def nest(pairs: Iterable[tuple[str, str]]) -> FormTree:
    """Nest pairs of bracketed names and values."""
    tree: FormTree = {}
    for name, value in pairs:
        _put(tree, _split(name), value, name)
    return tree


def _split(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    if not head or not rest.endswith("]"):
        raise invalid(f"Invalid parameter name: {name}", name)
    keys = [head, *rest[:-1].split("][")]
    if len(keys) > MAX_DEPTH:
        raise invalid(f"Too many nested parameters in {head}", head)
    return keys


def _put(tree: FormTree, keys: list[str], value: str, name: str) -> None:
    node = tree
    for position, key in enumerate(keys[:-1]):
        label = key or _element(node, keys[position + 1 :])
        child = node.setdefault(label, {})
        if isinstance(child, str):
            raise invalid(f"Invalid parameter: {name} is sent as a value and as an object", name)
        node = child
    label = keys[-1] or str(len(node))
    if isinstance(node.get(label), dict):
        raise invalid(f"Invalid parameter: {name} is sent as a value and as an object", name)
    node[label] = value


def _element(node: FormTree, rest: list[str]) -> str:
    """The list element that `[]` means: the last one, or a new one if that has the key."""
    if not node:
        return "0"
    last = str(len(node) - 1)
    current: FormValue | None = node.get(last)
    for key in rest:
        if not isinstance(current, dict):
            return str(len(node)) if current is not None else last
        if not key:
            return last
        current = current.get(key)
    return last if current is None else str(len(node))
