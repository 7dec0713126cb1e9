"""The web half of every peer: a webhook endpoint, and a probe."""

import os
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.types import Lifespan

from benchmarks.peers.shop import Shop

Accept = Callable[[str], Awaitable[None]]
"""Takes the ID of a paid session; the webhook is acknowledged once it returns."""


def webhook_app(shop: Shop, accept: Accept, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """A web application that hands paid sessions over.

    Args:
        shop: Knows genuine webhooks.
        accept: See `Accept`.
        lifespan: What is there while it runs.
    """
    app = FastAPI(lifespan=lifespan)

    @app.post("/webhook")
    async def webhook(request: Request) -> None:
        payload = await request.body()
        try:
            session_id = shop.paid_session(payload, request.headers["Stripe-Signature"])
        except (KeyError, ValueError) as error:
            raise HTTPException(400) from error
        if session_id is not None:
            await accept(session_id)

    @app.get("/healthz")
    async def healthz() -> None:
        pass

    return app


def in_thread(accept: Callable[[str], object]) -> Accept:
    """For code that blocks."""

    async def run(session_id: str) -> None:
        await run_in_threadpool(accept, session_id)

    return run


def serve(app: FastAPI) -> None:
    """Serves it until a signal says stop."""
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
