"""How the programs of this project log: one line an event, on standard error."""

import logging

TALKATIVE = ("httpx", "stripe")
"""Libraries that log each URL they call, with the session ID, which is a bearer token."""


def log_to_stderr() -> None:
    """Sets up logging for a program; call it once, at its start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
