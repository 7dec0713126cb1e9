"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Returns as soon as it holds; fails the test when it never does."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)
