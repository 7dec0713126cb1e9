"""Temporal as its samples write it: the webhook starts a workflow, a worker runs five activities.

Source: Temporal's Python samples. The activities block and run in threads, the workflow runs in
the sandbox, all options are the defaults. The workflow's ID is the session's.

    python -m benchmarks.peers.plain_temporal web
    python -m benchmarks.peers.plain_temporal worker
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import Worker

# What the sandbox need not load anew for each workflow.
with workflow.unsafe.imports_passed_through():
    from fastapi import FastAPI

    from benchmarks.peers.shop import CONCURRENCY, Order, Shop
    from benchmarks.peers.web import serve, webhook_app

TASK_QUEUE = "fulfillment"
TIMEOUT = timedelta(seconds=10)
READY_LINE = "the worker listens"


class Activities:
    """The steps of an order.

    Args:
        shop: Does them.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    @activity.defn
    def retrieve(self, session_id: str) -> Order | None:
        """Asks Stripe."""
        return self._shop.retrieve(session_id)

    @activity.defn
    def grant_access(self, order: Order) -> None:
        """Grants what was bought."""
        self._shop.grant_access(order)

    @activity.defn
    def book_parcel(self, order: Order) -> str:
        """Books the parcel."""
        return self._shop.book_parcel(order)

    @activity.defn
    def mail_receipt(self, order: Order, tracking_number: str) -> None:
        """Mails the receipt."""
        self._shop.mail_receipt(order, tracking_number)

    @activity.defn
    def record_fulfilled(self, session_id: str) -> None:
        """Records the end."""
        self._shop.record_fulfilled(session_id)


@workflow.defn
class FulfillCheckout:
    """Fulfills an order, once."""

    @workflow.run
    async def run(self, session_id: str) -> None:
        """Runs the steps one after the other."""
        order = await workflow.execute_activity_method(
            Activities.retrieve, session_id, start_to_close_timeout=TIMEOUT
        )
        if order is None:
            return
        await workflow.execute_activity_method(
            Activities.grant_access, order, start_to_close_timeout=TIMEOUT
        )
        tracking_number = await workflow.execute_activity_method(
            Activities.book_parcel, order, start_to_close_timeout=TIMEOUT
        )
        await workflow.execute_activity_method(
            Activities.mail_receipt, args=[order, tracking_number], start_to_close_timeout=TIMEOUT
        )
        await workflow.execute_activity_method(
            Activities.record_fulfilled, session_id, start_to_close_timeout=TIMEOUT
        )


async def connect() -> Client:
    """A connection to the server."""
    return await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter
    )


def web() -> None:
    """Serves the webhook."""
    clients: list[Client] = []

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        clients.append(await connect())
        yield

    async def start(session_id: str) -> None:
        with suppress(WorkflowAlreadyStartedError):
            await clients[0].start_workflow(
                FulfillCheckout.run,
                session_id,
                id=session_id,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )

    serve(webhook_app(Shop(), start, connected))


async def work() -> None:
    """Works until a signal says stop."""
    activities = Activities(Shop())
    async with Worker(
        await connect(),
        task_queue=TASK_QUEUE,
        workflows=[FulfillCheckout],
        activities=[
            activities.retrieve,
            activities.grant_access,
            activities.book_parcel,
            activities.mail_receipt,
            activities.record_fulfilled,
        ],
        activity_executor=ThreadPoolExecutor(CONCURRENCY),
        max_concurrent_activities=CONCURRENCY,
    ):
        print(READY_LINE, flush=True)  # noqa: T201 - whoever started us waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    match sys.argv[1]:
        case "web":
            web()
        case "worker":
            asyncio.run(work())
