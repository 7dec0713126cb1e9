"""Procrastinate: the webhook defers a job into PostgreSQL, a worker fulfills the order.

Source: Procrastinate's documentation, "Define a lock", "Define a retry strategy" and "Retry
stalled jobs". Each webhook is a job, of which one runs per session at a time; the second finds that
all is done. (With a queueing lock beside the lock a stalled job cannot be taken up again where a
second webhook has come meanwhile: its job waits for the lock, and holds the queueing lock.)

    python -m benchmarks.peers.procrastinate web
    python -m benchmarks.peers.procrastinate worker
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy

from benchmarks.peers.shop import CONCURRENCY, Shop
from benchmarks.peers.web import serve, webhook_app

READY_LINE = "the worker listens"

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))
shop = Shop()


@app.task(name="fulfill_checkout", retry=RetryStrategy(exponential_wait=2))
def fulfill_checkout(session_id: str) -> None:
    """Fulfills an order, in a thread."""
    shop.fulfill_once(session_id)


@app.periodic(cron="* * * * *")
@app.task(name="retry_stalled_jobs", queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - Procrastinate's
    """Takes up the jobs of workers that have given no sign of life for half a minute."""
    for job in await context.app.job_manager.get_stalled_jobs():
        await context.app.job_manager.retry_job(job)


async def defer(session_id: str) -> None:
    """Stores the job."""
    await fulfill_checkout.configure(lock=session_id).defer_async(session_id=session_id)


@asynccontextmanager
async def connected(_: FastAPI) -> AsyncIterator[None]:
    """The connection that jobs are stored by."""
    async with app.open_async():
        yield


async def migrate() -> None:
    """Makes its tables."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work() -> None:
    """Runs jobs until a signal says stop."""
    async with app.open_async():
        print(READY_LINE, flush=True)  # noqa: T201 - whoever started us waits for it
        await app.run_worker_async(concurrency=CONCURRENCY)


if __name__ == "__main__":
    match sys.argv[1]:
        case "migrate":
            asyncio.run(migrate())
        case "worker":
            asyncio.run(work())
        case "web":
            serve(webhook_app(shop, defer, connected))
