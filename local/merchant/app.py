"""The merchant's application: what it is asked, what it is told, and its page.

Source: the Standard Webhooks specification; docs/service.md has the shapes.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from standardwebhooks import Webhook, WebhookVerificationError

from local.web import pages

logger = logging.getLogger(__name__)

WORK_S = 3.0
"""How long it pretends to work until it calls back."""
CALLBACK_TRIES = 10
CALLBACK_PAUSE_S = 2.0
MOST_SHOWN = 200

router = APIRouter()


@dataclass
class Heard:
    """One request that came in."""

    at: datetime
    id: str
    type: str
    data: dict[str, Any]
    said: str = ""


@dataclass
class Merchant:
    """What the application knows while it runs."""

    webhook: Webhook
    http: httpx.AsyncClient
    heard: deque[Heard] = field(default_factory=lambda: deque(maxlen=MOST_SHOWN))
    working: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def take(self, request: Request) -> Heard:
        """Verifies a request and remembers it.

        Raises:
            WebhookVerificationError: Nobody who knows the secret sent it.
        """
        body = await request.body()
        self.webhook.verify(body, dict(request.headers), json_parse=False)
        message = json.loads(body)
        heard = Heard(
            datetime.now(UTC), request.headers["webhook-id"], message["type"], message["data"]
        )
        self.heard.appendleft(heard)
        return heard

    def work(self, order: Heard) -> None:
        """Starts what was asked, once per ID."""
        if order.id not in self.working:
            self.working[order.id] = asyncio.create_task(self._work(order))

    async def _work(self, order: Heard) -> None:
        await asyncio.sleep(WORK_S)
        item = order.data["line_item"]
        number = order.id[-6:].upper()
        told = {
            "status": "fulfilled",
            "delivered": [
                {
                    "type": "text",
                    "label": "Your entry in the register",
                    "value": f"No. {number} ({item['quantity']} x {item['description']})",
                }
            ],
        }
        body = json.dumps(told)
        for _ in range(CALLBACK_TRIES):
            now = datetime.now(UTC)
            headers = {
                "webhook-id": order.id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": self.webhook.sign(order.id, now, body),
            }
            try:
                answer = await self.http.post(
                    order.data["callback_url"], content=body, headers=headers
                )
            except httpx.HTTPError as error:
                order.said = f"called back: {type(error).__name__}"
            else:
                order.said = f"called back: HTTP {answer.status_code}"
                if not answer.is_server_error:
                    return
            await asyncio.sleep(CALLBACK_PAUSE_S)


def _merchant(request: Request) -> Merchant:
    merchant: Merchant = request.app.state.merchant
    return merchant


TheMerchant = Annotated[Merchant, Depends(_merchant)]


@router.post("/fulfill", status_code=202)
async def fulfill(request: Request, merchant: TheMerchant) -> dict[str, str]:
    """Takes an order in hand; the same one again changes nothing."""
    order = await merchant.take(request)
    order.said = "has it in hand"
    merchant.work(order)
    return {"status": "pending"}


@router.post("/messages", status_code=204)
async def take_message(request: Request, merchant: TheMerchant) -> None:
    """Takes a message."""
    (await merchant.take(request)).said = "taken"


@router.get("/", response_class=HTMLResponse)
async def overview(request: Request, merchant: TheMerchant) -> Response:
    """The page of all that was heard, newest first."""
    return pages.TemplateResponse(request, "merchant.html", {"heard": merchant.heard})


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers when the application does."""
    return {}


def create_app(secret: str) -> FastAPI:
    """The application; it verifies and signs with the secret, `whsec_…`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=10) as http:
            app.state.merchant = Merchant(Webhook(secret), http)
            yield
            for task in app.state.merchant.working.values():
                task.cancel()

    app = FastAPI(title="The merchant's application", lifespan=lifespan)
    app.include_router(router)

    @app.exception_handler(WebhookVerificationError)
    def refuse(_: Request, error: WebhookVerificationError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=400)

    return app
