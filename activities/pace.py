"""Keeps to what outside systems can take: so many activities a second, of all workers together."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from database.engine import Database
from database.paces import take_turn
from domain.errors import TransientError

PATIENCE = timedelta(seconds=1)
"""How long an activity waits for its turn: a local one has five seconds for all it does."""


class Pace:
    """The turns at one outside system.

    Args:
        database: Where all workers take them.
        system: Its name.
        per_second: How many there are.
    """

    def __init__(self, database: Database, system: str, per_second: float) -> None:
        self._database = database
        self._system = system
        self._per_second = per_second

    async def wait(self) -> None:
        """Waits for a turn.

        Raises:
            TransientError: None is near: Temporal tries again later, and less and less often, so
                that a flood of orders does not become one of tries.
        """
        gap = timedelta(seconds=1 / self._per_second)
        async with self._database.transaction() as connection:
            turn = await take_turn(connection, self._system, gap, PATIENCE)
        if turn is None:
            raise TransientError(
                "rate_limited",
                f"{self._system}: others come first, at {self._per_second:g} a second",
            )
        await asyncio.sleep(turn.total_seconds())


class Paced(Interceptor):
    """Worker interceptor: has an activity wait for its turn, wherever and however it is run.

    Args:
        paces: By the name of the activity.
    """

    def __init__(self, paces: Mapping[str, Pace]) -> None:
        self._paces = paces

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        """Wraps each activity."""
        return _PacedInbound(next, self._paces)


class _PacedInbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, paces: Mapping[str, Pace]) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._paces = paces

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - Temporal's names
        pace = self._paces.get(activity.info().activity_type)
        if pace is not None:
            await pace.wait()
        return await super().execute_activity(input)
