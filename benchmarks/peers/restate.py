"""Restate: the webhook sends the session to Restate, which calls the workflow's handler.

Source: Restate's documentation, "Workflows", "Durable Steps" and "HTTP invocation". The workflow's
key is the session's ID: a second call of its `run` starts nothing.

    python -m benchmarks.peers.restate web
    python -m benchmarks.peers.restate service
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import hypercorn.asyncio
import restate
import uvloop

from benchmarks.peers.shop import CONCURRENCY, Shop
from benchmarks.peers.web import serve, webhook_app

fulfillment = restate.Workflow("fulfillment")
shop = Shop()


@fulfillment.main()
async def run(context: restate.WorkflowContext, session_id: str) -> None:
    """Fulfills an order, once."""
    order = await context.run_typed(
        "retrieve", shop.retrieve, restate.RunOptions(), session_id=session_id
    )
    if order is None:
        return
    await context.run_typed("grant_access", shop.grant_access, restate.RunOptions(), order=order)
    tracking_number = await context.run_typed(
        "book_parcel", shop.book_parcel, restate.RunOptions(), order=order
    )
    await context.run_typed(
        "mail_receipt",
        shop.mail_receipt,
        restate.RunOptions(),
        order=order,
        tracking_number=tracking_number,
    )
    await context.run_typed(
        "record_fulfilled", shop.record_fulfilled, restate.RunOptions(), session_id=session_id
    )


def web() -> None:
    """Serves the webhook."""
    ingress = httpx.AsyncClient(
        base_url=os.environ["RESTATE_INGRESS_URL"], limits=httpx.Limits(max_connections=None)
    )

    async def send(session_id: str) -> None:
        answer = await ingress.post(f"/fulfillment/{session_id}/run/send", json=session_id)
        answer.raise_for_status()

    serve(webhook_app(shop, send))


async def service() -> None:
    """Serves Restate's calls of the workflow."""
    # The steps block, and run in the loop's own threads.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CONCURRENCY))
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{os.environ['SERVICE_PORT']}"]
    await hypercorn.asyncio.serve(restate.app(services=[fulfillment]), config)


if __name__ == "__main__":
    match sys.argv[1]:
        case "web":
            web()
        case "service":
            uvloop.run(service())
