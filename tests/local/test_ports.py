"""Ports that several processes look for at the same moment."""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from local.ports import free_port, renew_claims

PORTS = 400


def _find(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def test_no_two_processes_are_given_one_port() -> None:
    with ProcessPoolExecutor(4) as processes:
        found = [port for some in processes.map(_find, [PORTS] * 4) for port in some]
    assert len(set(found)) == 4 * PORTS


def test_a_claim_can_be_renewed() -> None:
    claim = Path(tempfile.gettempdir()) / f"claimed-ports-{os.getuid()}" / str(free_port())
    os.utime(claim, (0, 0))
    renew_claims()
    assert time.time() - claim.stat().st_mtime < 60
