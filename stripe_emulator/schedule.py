"""Things that happen by themselves later: sessions expire, delayed payments end."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

from .clock import current_clock

TICK_S: Final = 0.1

Action = tuple[float, str, str, str]
"""When (seconds since 1970), what, in which account, to which object."""


class Schedule:
    """A queue of actions, each run once when its time has come."""

    def __init__(self, run: Callable[[str, str, str], None]) -> None:
        self._run = run
        self._queue: list[Action] = []

    def add(self, at: float, action: str, account_id: str, object_id: str) -> None:
        """Have an action run at a time, or at once when that has passed."""
        heapq.heappush(self._queue, (at, action, account_id, object_id))

    def run_due(self) -> None:
        """Run what is due."""
        while self._queue and self._queue[0][0] <= current_clock.get().time():
            _, action, account_id, object_id = heapq.heappop(self._queue)
            self._run(action, account_id, object_id)

    async def keep_running(self) -> None:
        """Run what is due, until cancelled."""
        while True:
            self.run_due()
            await asyncio.sleep(TICK_S)

    def dump(self) -> list[Action]:
        """Everything still to come."""
        return sorted(self._queue)

    def load(self, actions: list[Action]) -> None:
        """Replace everything still to come."""
        self._queue = [(float(at), what, where, which) for at, what, where, which in actions]
        heapq.heapify(self._queue)
