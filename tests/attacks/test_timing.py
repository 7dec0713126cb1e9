"""Secrets are compared in constant time: `==` tells by its time how much of a guess was right."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TELLING = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
SECRET = {"token", "secret", "signature", "digest", "hexdigest", "hmac", "password"}
CONSTANT_TIME = {"api/codec.py", "api/entitlements.py", "api/orders.py"}
"""Where a bearer token comes in. Signatures are verified by the libraries that made them."""
SERVED = ("activities", "adapters", "api", "database", "domain", "workflows")


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for package in SERVED:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def _name(operand: ast.expr) -> str:
    """What an operand is called, whatever is called on it: `given` of `given.encode()`."""
    match operand:
        case ast.Call(func=ast.Attribute(value=value, attr=attr)):
            return attr if _is_secret(attr) else _name(value)
        case ast.Call(func=func):
            return _name(func)
        case ast.Attribute(attr=attr):
            return attr
        case ast.Subscript(value=value):
            return _name(value)
        case ast.Name(id=name):
            return name
        case _:
            return ""


def _is_secret(name: str) -> bool:
    return name.lower().rpartition("_")[2].removesuffix("s") in SECRET


def _telling(tree: ast.AST) -> list[int]:
    """The lines that compare a secret in a time that tells of it."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, TELLING) for operator in node.ops)
        and any(_is_secret(_name(each)) for each in (node.left, *node.comparators))
    ]


@pytest.mark.parametrize(
    "code",
    [
        "given == services.operator_token",
        "token.encode() != wanted",
        "token in tokens",
        "hmac.new(secret, body, 'sha256').hexdigest() == given",
        "given == self._secrets[0]",
        "settings.app_token.get_secret_value() == given",
    ],
)
def test_the_check_finds_what_tells(code: str) -> None:
    assert _telling(ast.parse(code)) == [1]


def test_no_secret_is_compared_in_a_time_that_tells_of_it() -> None:
    assert [f"{path}:{line}" for path, tree in _sources() for line in _telling(tree)] == []


def test_each_place_that_takes_a_bearer_token_compares_it_in_constant_time() -> None:
    takers = {path for path, tree in _sources() if "HTTPBearer" in ast.unparse(tree)}
    comparers = {path for path, tree in _sources() if "compare_digest(" in ast.unparse(tree)}
    assert takers <= comparers
    assert comparers == CONSTANT_TIME
