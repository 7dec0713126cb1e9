"""Reads the annotations of the pinned stripe-python: names resolved module by module."""

import ast
import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import stripe


@cache
def namespace(module_name: str) -> dict[str, Any]:
    """What annotations in the module can name, with its TYPE_CHECKING imports."""
    module = importlib.import_module(module_name)
    names: dict[str, Any] = {**vars(typing), **vars(module)}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("stripe"):
            source = importlib.import_module(node.module)
            for alias in node.names:
                names[alias.asname or alias.name] = getattr(source, alias.name)
    return names


def modules(suffix: str) -> Iterator[ModuleType]:
    """All modules of the SDK whose name ends with the suffix."""
    for info in pkgutil.walk_packages(stripe.__path__, "stripe."):
        if info.name.endswith(suffix):
            yield importlib.import_module(info.name)


def evaluate(annotation: object, owner: type) -> Any:
    """Resolve an annotation given as text or as a forward reference."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        names = namespace(owner.__module__)
        return eval(annotation, names, _Nested(owner))  # noqa: S307 - the SDK's own source
    return annotation


class _Nested(dict[str, Any]):
    """The names inside a class and the classes around it."""

    def __init__(self, owner: type) -> None:
        super().__init__()
        scope: Any = sys.modules[owner.__module__]
        for part in owner.__qualname__.split("."):
            scope = getattr(scope, part)
            self.update({k: v for k, v in vars(scope).items() if isinstance(v, type)})
