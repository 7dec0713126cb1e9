"""`fulfillment api` and `fulfillment worker`: what runs on a server."""

from api.__main__ import main as run_api
from worker import main as run_worker


def api() -> None:
    """Serves the API on PORT until SIGINT or SIGTERM, then answers what has arrived."""
    run_api()


def worker() -> None:
    """Runs workflows and activities until SIGINT or SIGTERM, then lets what it began finish."""
    run_worker()
