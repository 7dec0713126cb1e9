"""A short run of `make chaos`: a fault of each kind, and every order comes out right."""

import shutil
from pathlib import Path

import pytest

from chaos.plan import QUICK, Kind
from chaos.run import chaos

SEED = 4
"""Its first faults are one of each kind."""
SECONDS = 8.5
MOST_WITHOUT_EFFECT = 1
SETTLING_S = 200.0
"""Three times what an activity takes to be tried again that died with its worker."""


@pytest.mark.skipif(not shutil.which("prlimit"), reason="fills disks by prlimit (util-linux)")
@pytest.mark.timeout(400)
async def test_whatever_breaks_every_paid_order_is_delivered_exactly_once(
    tmp_path: Path,
) -> None:
    run = await chaos(SEED, SECONDS / 60, QUICK, tmp_path, print, settling_s=SETTLING_S)
    assert not run.verdict.problems
    assert not run.still_open
    # How many buy in this time, and whether each fault meets something, is the machine's affair.
    assert run.verdict.delivered > 3
    assert run.verdict.undelivered
    assert len(set(Kind) - set(run.hit)) <= MOST_WITHOUT_EFFECT
