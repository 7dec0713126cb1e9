"""A short run of `make chaos`: each kind of fault hits once, and every order comes out right."""

import shutil
from pathlib import Path

import pytest

from chaos.plan import QUICK, Kind
from chaos.run import chaos

SEED = 4
"""Its first faults are one of each kind."""
SECONDS = 8.5
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
    assert run.verdict.delivered > 10
    assert run.verdict.undelivered > 3
    assert set(run.hit) == set(Kind)
