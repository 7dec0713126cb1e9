"""What is put into an object is its own."""

from typing import Any

from tests.fuzz.drawn import bend


def test_what_comes_twice_stays_as_it_was() -> None:
    other: list[Any] = [None]
    data: dict[str, Any] = {"id": "evt_1"}
    bend(data, [(0, other), (1, other)])
    assert data == {"id": [[None]]}
    assert other == [None]
