"""What needs a token refuses all others, and what needs none is open by choice."""

from typing import Any

from tests.harness.world import APP_TOKEN, OPERATOR_TOKEN, World

METHODS = ("get", "post", "put", "patch", "delete")


def _operations(document: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Method, path, and whether a token is described, of each operation."""
    return [
        (method, path, bool(operation.get("security")))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]


async def test_every_operation_with_a_lock_refuses_other_tokens(world: World) -> None:
    locked = [
        (method, path)
        for method, path, needs in _operations((await world.api.get("/openapi.json")).json())
        if needs
    ]
    assert len(locked) > 10
    for method, path in locked:
        right = APP_TOKEN if path == "/entitlements" else OPERATOR_TOKEN
        other = OPERATOR_TOKEN if right is APP_TOKEN else APP_TOKEN
        for given in (None, "Bearer", "Bearer wrong", f"Basic {right}", right, f"Bearer {other}"):
            headers = {} if given is None else {"Authorization": given}
            answer = await world.api.request(method, path.format_map(_Any()), headers=headers)
            assert answer.status_code == 401, (method, path, given)


class _Any(dict[str, str]):
    """A value for whatever a path names."""

    def __missing__(self, name: str) -> str:
        return "cs_test_" + "a" * 30


async def test_what_operators_see_and_do_has_a_lock(world: World) -> None:
    open_ones = {
        path
        for _, path, needs in _operations((await world.api.get("/openapi.json")).json())
        if not needs
    }
    assert not {path for path in open_ones if path.startswith(("/orders", "/messages"))}
    assert "/entitlements" not in open_ones
    assert "/licenses/disable" not in open_ones
