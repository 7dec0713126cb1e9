"""No statement of the service reads a big table as a whole: a small `make plans`."""

from pathlib import Path

from temporalio.client import Client

from tests.database.plans import is_slow, used_plans
from tests.harness.many_orders import fill
from tests.replay import paths

ORDERS = 20_000
MAX_COST = 1500
"""Less than to read the orders as a whole."""
PATHS = tuple(
    path
    for path in paths.PATHS
    if paths.name_of(path) in {"mixed_order", "held_order", "refund_asked_for", "sweep"}
)
"""They execute most of what all paths do, in a fifth of the time."""


async def test_every_statement_finds_its_rows_by_an_index(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> None:
    fill(database_url, ORDERS)
    plans = await used_plans(database_url, temporal_address, client, tmp_path, PATHS, orders=ORDERS)
    assert len(plans) > 120
    slow = [plan for plan in plans if is_slow(plan, MAX_COST)]
    assert not slow, "\n\n".join(f"{plan.read_whole} {plan.statement}" for plan in slow)
