"""`python -m api`: serves the API on PORT, on every address of the machine."""

import uvicorn

from ending import run_to_end
from settings import Settings, load

GRACEFUL_SHUTDOWN_S = 10
"""How long requests may go on after a stop was asked for."""


def main() -> None:
    """Runs until SIGINT or SIGTERM, then answers what has arrived."""
    port = load(Settings).port
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host="0.0.0.0",  # noqa: S104 - a server
        port=port,
        # Open pages listen for as long as they are let: they connect again elsewhere.
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )


if __name__ == "__main__":
    run_to_end(main)
