"""The baseline: a workflow of as many regular activities as an order has steps, all no-ops.

Run as a program, this file is the baseline's worker. It runs without Temporal's sandbox, as
the product's worker does.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.pace import Submitted
from local.process import Part, Process, running
from workflows.client import connect

ADDRESS = "TEMPORAL_ADDRESS"
NAMESPACE = "TEMPORAL_NAMESPACE"
TASK_QUEUE = "bare"
STEPS = 5
"""As many as an order of the benchmark has: payment, access, shipment, receipt, close."""
ACTIVITY_TIMEOUT = timedelta(seconds=60)
READY_LINE = "the bare worker listens"


@activity.defn
async def do_nothing() -> None:
    """Does nothing."""


@workflow.defn
class BareWorkflow:
    """Runs the activities one after the other."""

    @workflow.run
    async def run(self) -> None:
        """Runs until the last one has done nothing."""
        for _ in range(STEPS):
            await workflow.execute_activity(do_nothing, start_to_close_timeout=ACTIVITY_TIMEOUT)


class Bare:
    """A load generator in front of the baseline.

    Args:
        client: A connection to the Temporal server.
    """

    name = "bare"

    def __init__(self, client: Client) -> None:
        self._client = client

    async def submit(self) -> Submitted:
        """Starts the next workflow."""
        workflow_id = f"bare-{uuid4().hex}"
        sent_at, begun = time.time(), time.perf_counter()
        await self._client.start_workflow(BareWorkflow.run, id=workflow_id, task_queue=TASK_QUEUE)
        return Submitted(workflow_id, sent_at, ((time.perf_counter() - begun) * 1000,))


@contextmanager
def bare_worker(address: str, namespace: str, log: Path) -> Iterator[int]:
    """Runs the baseline's worker as a process while the block runs; yields its number."""

    def listens(process: Process) -> bool:
        return READY_LINE in process.output()

    part = Part(
        name="bare",
        argv=[sys.executable, "-m", "benchmarks.bare"],
        env={ADDRESS: address, NAMESPACE: namespace},
        ready=listens,
    )
    with running(part, log) as process:
        yield process.pid


async def _work() -> None:
    client = await connect(os.environ[ADDRESS], os.environ[NAMESPACE])
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[BareWorkflow],
        activities=[do_nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        print(READY_LINE, flush=True)  # noqa: T201 - whoever started us waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_work())
