"""Checks and converts request parameters by the types of Stripe's own SDK.

`parameters.json` is generated from stripe-python's annotations. In it a type is one of
`"string"`, `"integer"`, `"boolean"`, `"number"`, `"decimal"` (stays text), `"any"`,
`{"enum": […]}`, `{"array": type}`, `{"map": type}`, `{"one_of": [type, …]}` or
`{"object": {name: type}, "required": […]}`.

Stripe's answers to wrong parameters are listed under "Error codes" in its API reference.
"""

import json
import re
from functools import cache
from importlib import resources
from typing import Any

from .errors import invalid, missing_parameter
from .forms import FormTree, FormValue

Shape = dict[str, Any] | str
Params = dict[str, Any]

MAX_METADATA_KEYS = 50
MAX_METADATA_KEY_LENGTH = 40
MAX_METADATA_VALUE_LENGTH = 500
_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,12})?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


@cache
def _generated() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("parameters.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def shape_of(operation: str) -> Shape:
    """The type of the parameters of an operation such as `POST /v1/products`."""
    shape: Shape = _generated()["operations"][operation]
    return shape


def expandable_paths(kind: str) -> frozenset[str]:
    """Dotted paths of the expandable fields in objects of this kind."""
    return frozenset(_generated()["expandable"].get(kind, ()))


@cache
def thin_types() -> frozenset[str]:
    """The types of thin events about objects of API v1, such as `v1.charge.succeeded`."""
    return frozenset(_generated()["thin_events"])


def check(shape: Shape, tree: FormTree) -> Params:
    """Convert decoded form fields to typed parameters.

    Raises:
        StripeError: As Stripe answers: `parameter_unknown`, `parameter_missing`,
            `parameter_invalid_integer`, `parameter_invalid_empty`, or a wrong choice.
    """
    converted: Params = _object(shape, tree, "")
    return converted


def _convert(shape: Shape, value: FormValue, path: str) -> Any:  # noqa: ANN401 - JSON value
    if isinstance(value, str):
        return _scalar(shape, value, path)
    for candidate in _candidates(shape):
        if isinstance(candidate, dict):
            if "object" in candidate:
                return _object(candidate, value, path)
            if "array" in candidate:
                return _array(candidate["array"], value, path)
            if "map" in candidate:
                inner = candidate["map"]
                if path.removesuffix("]").endswith("metadata"):
                    _check_metadata(value, path)
                return {
                    key: item if item == "" else _convert(inner, item, f"{path}[{key}]")
                    for key, item in value.items()
                }
    raise _not_of(_candidates(shape), [], json.dumps(value), path)


def _check_metadata(tree: FormTree, path: str) -> None:
    """Stripe's limits. See "Metadata" in its API reference."""
    if len(tree) > MAX_METADATA_KEYS:
        raise invalid(f"Metadata can have up to {MAX_METADATA_KEYS} keys.", path)
    for key, value in tree.items():
        if len(key) > MAX_METADATA_KEY_LENGTH:
            raise invalid(
                f"Metadata keys can have up to {MAX_METADATA_KEY_LENGTH} characters, but you passed"
                f" in a key that is {len(key)} characters. Invalid key: {key}",
                path,
            )
        if isinstance(value, str) and len(value) > MAX_METADATA_VALUE_LENGTH:
            raise invalid(
                f"Metadata values can have up to {MAX_METADATA_VALUE_LENGTH} characters, but you"
                f" passed in a value that is {len(value)} characters. Invalid value: {value}",
                path,
            )


def _candidates(shape: Shape) -> list[Shape]:
    if isinstance(shape, dict) and "one_of" in shape:
        options: list[Shape] = shape["one_of"]
        return options
    return [shape]


def _object(shape: Shape, tree: FormTree, path: str) -> Any:  # noqa: ANN401 - JSON value
    assert isinstance(shape, dict)  # noqa: S101 - the generated file holds objects here
    fields: dict[str, Shape] = shape["object"]

    def name(key: str) -> str:
        return f"{path}[{key}]" if path else key

    unknown = [name(key) for key in tree if key not in fields]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise invalid(
            f"Received unknown parameter{plural}: {', '.join(unknown)}",
            unknown[0],
            "parameter_unknown",
        )
    for key in shape.get("required", ()):
        if key not in tree:
            raise missing_parameter(name(key))
    return {key: _convert(fields[key], value, name(key)) for key, value in tree.items()}


def _array(inner: Shape, tree: FormTree, path: str) -> list[Any]:
    try:
        indexes = sorted(tree, key=int)
    except ValueError:
        raise invalid("Invalid array", path) from None
    return [_convert(inner, tree[index], f"{path}[{index}]") for index in indexes]


def _scalar(shape: Shape, value: str, path: str) -> Any:  # noqa: ANN401 - JSON value
    candidates = _candidates(shape)
    choices = [c["enum"] for c in candidates if isinstance(c, dict) and "enum" in c]
    if any(value in allowed for allowed in choices):
        return value
    if value == "":
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt"
            f" to unset a field; however '{path}' cannot be unset. You should remove '{path}'"
            " from your request or supply a non-empty value.",
            path,
            "parameter_invalid_empty",
        )
    for candidate in candidates:
        if candidate == "integer" and _INTEGER.fullmatch(value):
            return int(value)
        if candidate == "boolean" and value in _BOOLEANS:
            return _BOOLEANS[value]
        if candidate in ("string", "any"):
            return value
        if candidate == "decimal" and _NUMBER.fullmatch(value):
            return value
        if candidate == "number" and _NUMBER.fullmatch(value):
            return float(value)
    raise _not_of(candidates, choices, value, path)


def _not_of(candidates: list[Shape], choices: list[list[str]], value: str, path: str) -> Exception:
    if "string" in candidates:
        return invalid(f"Invalid string: {value}", path)
    if "integer" in candidates:
        return invalid(f"Invalid integer: {value}", path, "parameter_invalid_integer")
    if "boolean" in candidates:
        return invalid(f"Invalid boolean: {value}", path)
    if "number" in candidates or "decimal" in candidates:
        return invalid(f"Invalid decimal: {value}", path)
    named = [choice for allowed in choices for choice in allowed if choice]
    if named:
        listed = ", ".join(named[:-1]) + (", or " if len(named) > 1 else "") + named[-1]
        return invalid(f"Invalid {path}: must be one of {listed}", path)
    kind = "array" if any("array" in c for c in candidates if isinstance(c, dict)) else "object"
    return invalid(f"Invalid {kind}", path)
