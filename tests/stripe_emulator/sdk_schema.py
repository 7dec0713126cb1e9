"""JSON Schema from stripe-python's annotations.

Optional fields may be absent or null; all others must be there; what the SDK does not know
is refused. Open lists of choices (`Literal[...] | str`) are closed, so that a misspelled
choice does not pass as a string.
"""

import importlib
import types
import typing
from decimal import Decimal
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

import jsonschema
import stripe
from stripe._object_classes import OBJECT_CLASSES, V2_OBJECT_CLASSES
from stripe.events._event_classes import get_v2_event_class

from .sdk_annotations import evaluate

_SCALARS: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    Decimal: {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
}


def class_of(kind: str) -> type[stripe.StripeObject]:
    """The SDK's class for objects of this kind, such as `checkout.session`."""
    module, name = (V2_OBJECT_CLASSES | OBJECT_CLASSES)[kind]
    cls: type[stripe.StripeObject] = getattr(importlib.import_module(module), name)
    return cls


class SchemaWriter:
    """Writes classes as definitions of one schema, each once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def reference(self, cls: type) -> dict[str, Any]:
        """A reference to the class's definition."""
        name = f"{cls.__module__}.{cls.__qualname__}".replace("/", "_")
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._object(cls)
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, cls: type) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        for base in reversed(cls.__mro__):
            if base.__module__ in {"stripe._stripe_object", "stripe._api_resource"}:
                continue
            for name, annotation in vars(base).get("__annotations__", {}).items():
                resolved = evaluate(annotation, base)
                if (
                    name.startswith("_")
                    or get_origin(resolved) is ClassVar
                    or (str(resolved).startswith("typing.ClassVar"))
                ):
                    continue
                properties[name] = self.schema(resolved, base)
                if not _nullable(resolved):
                    required.append(name)
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def schema(  # noqa: PLR0911 - one return a form of annotation
        self, annotation: object, owner: type
    ) -> dict[str, Any]:
        """The annotation as a schema."""
        annotation = evaluate(annotation, owner)
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return {"enum": list(args)}
        if origin in {Union, types.UnionType}:
            return {"anyOf": [self.schema(part, owner) for part in _closed(args, owner)]}
        if origin is list:
            return {"type": "array", "items": self.schema(args[0], owner)}
        if origin is stripe.ListObject:
            return self._list(args[0], owner)
        if getattr(origin, "__name__", "") == "UntypedStripeObject" or origin is dict:
            return {"type": "object", "additionalProperties": self.schema(args[-1], owner)}
        if annotation in _SCALARS:
            return _SCALARS[annotation]
        assert isinstance(annotation, type), annotation
        if annotation.__name__ == "UntypedStripeObject" or annotation is stripe.StripeObject:
            return {"type": "object"}
        return self.reference(annotation)

    def _list(self, item: object, owner: type) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "object": {"const": "list"},
                "data": {"type": "array", "items": self.schema(item, owner)},
                "has_more": {"type": "boolean"},
                "url": {"type": "string"},
            },
            "required": ["object", "data", "has_more", "url"],
            "additionalProperties": False,
        }


def _nullable(annotation: object) -> bool:
    return get_origin(annotation) in {Union, types.UnionType} and type(None) in get_args(annotation)


def _closed(parts: tuple[object, ...], owner: type) -> list[object]:
    resolved = [evaluate(part, owner) for part in parts]
    if any(get_origin(part) is Literal for part in resolved):
        return [part for part in resolved if part is not str]
    return resolved


_writer = SchemaWriter()
_validators: dict[str, jsonschema.Draft202012Validator] = {}


def validate(obj: dict[str, Any]) -> None:
    """Hold an object that the API answered against the SDK's class for its kind.

    Raises:
        jsonschema.ValidationError: With the path of what does not fit.
    """
    thin = obj["object"] == "v2.core.event"
    kind = obj["type"] if thin else obj["object"]
    if kind not in _validators:
        reference = _writer.reference(get_v2_event_class(kind) if thin else class_of(kind))
        schema = {**reference, "$defs": _writer.definitions}
        _validators[kind] = jsonschema.Draft202012Validator(schema)
    _validators[kind].validate(obj)


def nested_objects(value: object) -> typing.Iterator[dict[str, Any]]:
    """Every object in the value that the SDK has a class for."""
    if isinstance(value, dict):
        if value.get("object") in OBJECT_CLASSES and value["object"] != "list":
            yield value
        for inner in value.values():
            yield from nested_objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nested_objects(inner)
