"""What is drawn so that everything comes, and nothing comes much more often than the rest."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def shuffled_for_ever(dice: random.Random, members: Sequence[T]) -> Iterator[T]:
    """All members in random order, then all of them in another, and so on."""
    while True:
        yield from dice.sample(members, len(members))
