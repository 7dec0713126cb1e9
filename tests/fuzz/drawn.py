"""How much is drawn: the same few examples by `make test`, many new ones by `make explore`."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

REMOVED = object()
OTHERS: tuple[Any, ...] = (
    *(REMOVED, None, True, 0, -1, 10**30, 1.5),
    *("", "unheard_of", "\0", "x" * 5_000, [], {}, [None], {"id": 1}),
)
"""What may come in the place of a part of an object."""
Bend = tuple[int, Any]
"""Where an object is bent, counted over all its parts and round again, and what comes there."""

bends = st.lists(st.tuples(st.integers(0, 9_999), st.sampled_from(OTHERS)), min_size=1, max_size=3)
"""What to pass to `bend`."""


def drawn(examples: int, explored: int) -> settings:
    """Settings of a test that draws.

    Args:
        examples: How many `make test` takes.
        explored: How many `make explore` takes.
    """
    is_exploring = settings.get_current_profile_name() == "explore"
    return settings(
        max_examples=explored if is_exploring else examples,
        derandomize=not is_exploring,
        database=None,
        deadline=None,
        # What is wrong is told as it was found: to look for less of it would take long.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


async def draw(
    how: settings, ask: Callable[..., Coroutine[Any, Any, None]], **strategies: SearchStrategy[Any]
) -> None:
    """Calls a coroutine function with what Hypothesis draws, on this event loop.

    Hypothesis itself is in a thread meanwhile: what is asked answers on this loop, too.
    """
    loop = asyncio.get_running_loop()

    @how
    @given(**strategies)
    def send(**values: Any) -> None:
        asyncio.run_coroutine_threadsafe(ask(**values), loop).result()

    await asyncio.to_thread(send)


def bend(data: Any, changes: list[Bend]) -> None:
    """Changes parts of an object: takes them away, or puts something else in their place."""
    for where, other in changes:
        places = list(_places(data))
        if not places:
            return
        holder, key = places[where % len(places)]
        if other is not REMOVED:
            # A copy: what comes twice is not to be changed by the next change.
            holder[key] = deepcopy(other)
        elif isinstance(holder, dict):
            del holder[key]
            holder["a_new_part"] = {"of": "another version"}
        else:
            holder.pop(key)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Each part, as what holds it and its key there."""
    for key in list(data) if isinstance(data, MutableMapping) else range(len(data)):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _places(data[key])
