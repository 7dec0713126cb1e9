"""`python -m api`: serves the API on PORT, on every address of the machine."""

import signal
import sys
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from ending import run_to_end
from settings import Settings, load

GRACEFUL_SHUTDOWN_S = 10
"""How long requests may go on once no new ones are taken."""

KEEP_ALIVE_S = 620
"""Longer than load balancers keep a connection that rests (nginx and AWS's ALB a minute, Google
Cloud's ten): one that is closed just as it is used again is a 502 to whoever asked."""


class DrainingServer(uvicorn.Server):
    """Takes requests for a while yet after SIGTERM, and says at /readyz that it will not for long.

    At the end uvicorn cuts connections that have just come, and refuses others. So whatever sends
    them has to stop before that, and needs some time to notice.

    Args:
        config: Of uvicorn.
        app: What it serves.
        drain_s: How long it goes on.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._leaves_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to drain at the first SIGTERM; at once ends what has no patience."""
        if sig != signal.SIGTERM or self._leaves_at is not None:
            super().handle_exit(sig, frame)
            return
        self._leaves_at = time.monotonic() + self._drain_s
        self._app.state.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Ends it when it has drained; uvicorn asks ten times a second."""
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            self.should_exit = True
        return await super().on_tick(counter)


def main() -> None:
    """Runs until SIGINT or SIGTERM, then answers what has arrived."""
    settings = load(Settings)
    app = create_app()
    config = uvicorn.Config(
        app,
        host="0.0.0.0",  # noqa: S104 - a server
        port=settings.port,
        # The app has set up our own, which shows no addresses: they hold tokens.
        log_config=None,
        # Open pages listen for as long as they are let: they connect again elsewhere.
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = DrainingServer(config, app, settings.api_drain_seconds)
    server.run()
    if not server.started:
        sys.exit("the API could not start")


if __name__ == "__main__":
    run_to_end(main)
