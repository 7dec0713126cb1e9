"""Waits, once the faults are over, until the service has nothing left to do by itself."""

import asyncio
import time
from collections import Counter

from temporalio.client import Client
from temporalio.service import RPCError

from chaos.faults import Place
from domain.reconciliation import Action
from workflows.reconcile import SweepReport
from workflows.reverse_checkout import WORKFLOW as REVERSAL_WORKFLOW
from workflows.schedule import schedule_id

LOOK_EVERY_S = 0.5
SWEEP_AGAIN_EVERY_S = 20.0
_SWEPT = "WorkflowType = 'ReconcileCheckouts' AND ExecutionStatus = 'Completed'"
_RUNNING = "ExecutionStatus = 'Running'"


class Reconciliation:
    """The service's own sweep, which the run has begin more often than each quarter of an hour.

    Args:
        client: Of the Temporal server.
        task_queue: The service's.
    """

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._schedule = client.get_schedule_handle(schedule_id(task_queue))

    async def begin(self) -> None:
        """Has a sweep begin, unless one is under way."""
        await self._schedule.trigger()

    async def wait_for_first(self) -> None:
        """Waits until the first sweep has noted from when on orders are the service's."""
        while not await self._ended_since(0):  # noqa: ASYNC110 - the server tells of it to nobody
            await asyncio.sleep(LOOK_EVERY_S)

    async def has_swept_since(self, began_at: float) -> bool:
        """Whether a sweep that began then or later has ended well."""
        return bool(await self._ended_since(began_at))

    async def found(self) -> Counter[Action]:
        """What all sweeps so far have done about sessions that no event had told of."""
        found: Counter[Action] = Counter()
        async for each in self._client.list_workflows(_SWEPT):
            handle = self._client.get_workflow_handle(
                each.id, run_id=each.run_id, result_type=SweepReport
            )
            report: SweepReport = await handle.result()
            found.update(report.counts)
        return found

    async def _ended_since(self, began_at: float) -> int:
        return sum(
            [
                each.start_time.timestamp() >= began_at
                async for each in self._client.list_workflows(_SWEPT, limit=5)
            ]
        )


async def settle(place: Place, sweeps: Reconciliation, patience_s: float) -> list[str]:
    """Waits until a whole sweep has passed, Stripe has nothing to deliver and no workflow runs.

    Returns:
        What is still open where it did not come to that in time.
    """
    try:
        for name in place.site.processes:
            await place.site.wait_ready(name)
    except TimeoutError:
        return [f"process {name} does not answer"]
    begun = time.time()
    next_sweep = begun
    still_open = ["reconciliation"]
    while time.time() < begun + patience_s:
        try:
            if time.time() >= next_sweep:
                await sweeps.begin()
                next_sweep = time.time() + SWEEP_AGAIN_EVERY_S
            if await sweeps.has_swept_since(begun):
                still_open = await _open(place)
        except RPCError:
            # Temporal has only just come back.
            pass
        if not still_open:
            return []
        await asyncio.sleep(LOOK_EVERY_S)
    return still_open


async def _open(place: Place) -> list[str]:
    """Deliveries and workflows that go on."""
    deliveries = [f"delivery {each}" for each in await place.deliveries_in("pending")]
    return deliveries + [
        f"workflow {running.id}"
        async for running in place.temporal.list_workflows(_RUNNING)
        if running.workflow_type != REVERSAL_WORKFLOW or await _is_at_work(place, running.id)
    ]


async def _is_at_work(place: Place, reversal_id: str) -> bool:
    """Whether a reversal's workflow has more to do now than to watch if it fails, for days."""
    described = await place.temporal.get_workflow_handle(reversal_id).describe()
    told = described.raw_description
    return bool(told.pending_activities) or told.HasField("pending_workflow_task")
