"""Failures on demand, as the local mail inbox and the local carrier give them to tests."""

import asyncio

from pydantic import BaseModel, Field

MAX_DELAY_MS = 60_000


class Faults(BaseModel):
    """What goes wrong from now on; without arguments nothing does."""

    status: int | None = Field(default=None, ge=400, le=599)
    """The code to answer with; None for no failure."""
    count: int | None = Field(default=None, ge=0)
    """How many times; None for ever."""
    delay_ms: int = Field(default=0, ge=0, le=MAX_DELAY_MS)
    """How much later every answer comes, failure or not."""

    async def delay(self) -> None:
        """Waits as long as every answer has to."""
        await asyncio.sleep(self.delay_ms / 1000)

    def take(self) -> int | None:
        """The code to fail with this time, used up by the call; None to do the work."""
        if self.count is None:
            return self.status
        if self.count == 0:
            return None
        self.count -= 1
        return self.status
