"""The time that the emulator goes by: this computer's, or so much ahead of it.

An application puts its clock into the context of everything that it does, so that several
emulators in one process each go by their own.
"""

import asyncio
import contextlib
import time
from contextvars import ContextVar
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send


class Clock:
    """This computer's clock, moved ahead by `ahead_s` seconds."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._moved = asyncio.Event()

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.ahead_s

    def move(self, ahead_s: float) -> None:
        """Be so far ahead from now on; whoever sleeps looks at the clock again."""
        self.ahead_s = ahead_s
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep_until(self, at: float) -> None:
        """Wait until this clock shows the time, be it by itself or because it was moved."""
        while (left_s := at - self.time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left_s)


current_clock: Final[ContextVar[Clock]] = ContextVar("current_clock", default=Clock())  # noqa: B039 - only the real time is read from it
"""The clock of the emulator at work; outside of one, this computer's."""


class ClockMiddleware:
    """Has an application, and all that it starts, go by one clock."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, with the clock in the context."""
        token = current_clock.set(self._clock)
        try:
            await self._app(scope, receive, send)
        finally:
            current_clock.reset(token)
