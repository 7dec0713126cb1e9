"""Tells Temporal that a long activity still runs, so that one whose worker died is seen soon."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

BEAT_EVERY_S = 2.0
"""The SDK passes on the first beat, and of the others only as many as the time limit needs."""


class Heartbeats(Interceptor):
    """Worker interceptor.

    What died with its worker would otherwise begin again only when the time of its whole try is
    over, which for a mail is most of an hour.

    Args:
        activities: The names of those that beat; they may do it only by this.
    """

    def __init__(self, activities: Collection[str]) -> None:
        self._activities = frozenset(activities)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        """Wraps each activity."""
        return _BeatingInbound(next, self._activities)


class _BeatingInbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, activities: frozenset[str]) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._activities = activities

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - Temporal's names
        info = activity.info()
        # A local one lives as long as its workflow task, which beats by itself.
        if info.is_local or info.activity_type not in self._activities:
            return await super().execute_activity(input)
        beating = asyncio.create_task(_beat())
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating


async def _beat() -> None:
    while True:
        await asyncio.sleep(BEAT_EVERY_S)
        activity.heartbeat()
