"""Writes stripe_emulator/parameters.json from stripe-python's annotations.

Run `python -m tests.stripe_emulator.generate_parameters` after an upgrade of the SDK or when
the emulator serves a new operation; a test compares the file with what this would write.
"""

import importlib
import inspect
import json
import re
import types
import typing
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import stripe
import typing_extensions
from stripe._object_classes import OBJECT_CLASSES
from stripe._request_options import RequestOptions
from stripe.events._event_classes import _V2_EVENT_CLASS_LOOKUP

from stripe_emulator.resources.table import OPERATIONS

from .sdk_annotations import evaluate, modules, namespace

TARGET = Path(__file__).parents[2] / "stripe_emulator" / "parameters.json"

_METHOD = re.compile(
    r'params: (?:Optional\[)?"(?P<params>\w+)".*?self\._request\(\s*"(?P<verb>\w+)",\s*'
    r'"(?P<path>[^"]+)"',
    re.DOTALL,
)
_SCALARS: dict[object, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    Decimal: "decimal",
    Any: "any",
    object: "any",
}


def sdk_operations() -> dict[str, type]:
    """The parameters' type of every operation that the SDK knows, by method and path."""
    found: dict[str, type] = {}
    for module in modules("_service"):
        for _, service in inspect.getmembers(module, inspect.isclass):
            if service.__module__ != module.__name__:
                continue
            for _, method in inspect.getmembers(service, inspect.isfunction):
                match = _METHOD.search(inspect.getsource(method))
                if match:
                    operation = f"{match['verb'].upper()} {match['path']}"
                    found[operation] = namespace(module.__name__)[match["params"]]
    return found


def shape(annotation: object, owner: type) -> Any:  # noqa: PLR0911 - JSON; one return a form
    """The annotation as a type of parameters.json."""
    annotation = evaluate(annotation, owner)
    origin = get_origin(annotation)
    if origin in {typing_extensions.NotRequired, typing_extensions.Required}:
        return shape(get_args(annotation)[0], owner)
    if annotation is type(None):
        return {"enum": [""]}  # how `decode_json` writes null
    if origin is Literal:
        return {"enum": list(get_args(annotation))}
    if origin in {Union, types.UnionType}:
        return _union([shape(part, owner) for part in get_args(annotation)])
    if origin is list:
        return {"array": shape(get_args(annotation)[0], owner)}
    if origin in {dict, stripe.StripeObject} or getattr(origin, "__name__", "") == (
        "UntypedStripeObject"
    ):
        return {"map": shape(get_args(annotation)[-1], owner)}
    if typing_extensions.is_typeddict(annotation):
        return object_shape(typing.cast("type", annotation))
    return _SCALARS[annotation]


def _union(parts: list[Any]) -> Any:
    # `Literal[...] | str` is an open list in the SDK, so that new choices can be sent with
    # an old SDK; Stripe itself knows its choices.
    choices = [part for part in parts if isinstance(part, dict) and "enum" in part]
    if any(choice["enum"] != [""] for choice in choices):
        parts = [part for part in parts if part != "string"]
    return parts[0] if len(parts) == 1 else {"one_of": parts}


def object_shape(params: type) -> dict[str, Any]:
    """A TypedDict as an object of parameters.json."""
    ignored = set(RequestOptions.__annotations__)
    hints = {
        name: value
        for cls in reversed(params.__mro__)
        for name, value in getattr(cls, "__annotations__", {}).items()
        if name not in ignored
    }
    required = sorted(
        name
        for name, value in hints.items()
        if not str(getattr(value, "__forward_arg__", value)).startswith(
            ("NotRequired", "typing.NotRequired", "typing_extensions.NotRequired")
        )
    )
    fields = {name: shape(value, params) for name, value in sorted(hints.items())}
    return {"object": fields, **({"required": required} if required else {})}


def expandable(cls: type, prefix: str = "") -> list[str]:
    """Dotted paths of the fields that hold either an ID or an object."""
    found: list[str] = []
    for name, annotation in getattr(cls, "__annotations__", {}).items():
        resolved = evaluate(annotation, cls)
        parts = _flatten(resolved, cls)
        objects = [p for p in parts if isinstance(p, type) and issubclass(p, stripe.StripeObject)]
        if str in parts and objects:
            found.append(prefix + name)
        for part in objects:
            if part.__qualname__.startswith(cls.__qualname__ + "."):
                found += expandable(part, f"{prefix}{name}.")
    return sorted(found)


def _flatten(annotation: object, owner: type) -> list[Any]:
    annotation = evaluate(annotation, owner)
    if get_origin(annotation) in {Union, types.UnionType, list}:
        return [leaf for part in get_args(annotation) for leaf in _flatten(part, owner)]
    return [annotation]


def generate() -> str:
    """The text of parameters.json."""
    known = sdk_operations()
    names = sorted(operation.name for operation in OPERATIONS if operation.shape is None)
    operations = {name: object_shape(known[name]) for name in names}
    paths: dict[str, list[str]] = {}
    for kind, (module, name) in sorted(OBJECT_CLASSES.items()):
        found = expandable(getattr(importlib.import_module(module), name))
        if found:
            paths[kind] = found
    lines = [f"{json.dumps(name)}:{_compact(value)}" for name, value in operations.items()]
    more = [f"{json.dumps(kind)}:{_compact(value)}" for kind, value in paths.items()]
    return (
        '{"operations":{\n'
        + ",\n".join(lines)
        + '\n},"expandable":{\n'
        + ",\n".join(more)
        + '\n},"thin_events":'
        + _compact(sorted(name for name in _V2_EVENT_CLASS_LOOKUP if name.startswith("v1.")))
        + "\n}\n"
    )


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    TARGET.write_text(generate(), "utf-8")
