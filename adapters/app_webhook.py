"""The merchant's own application, told by Standard Webhooks.

Source: the Standard Webhooks specification, "Payload structure", "Webhook headers" and
"Operational considerations".
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

import httpx
from pydantic import BaseModel, JsonValue

from adapters.http_errors import parse_retry_after
from adapters.standard_webhooks import signed_headers
from domain.messages import DeliveryAttempt, Message

TIMEOUT_S = 20.0
"""For a whole answer."""
MAX_ANSWER_BYTES = 64 * 1024
"""Nothing is done with an answer but its status; a short one is read, so that the connection can
be used again."""


class _Payload(BaseModel):
    type: str
    timestamp: datetime
    data: dict[str, JsonValue]


class AppWebhook:
    """Posts messages to one address; follows no redirects.

    Args:
        url: The application's; empty where none is set any more.
        secrets: `whsec_…`; the first one signs.
    """

    def __init__(self, url: str, secrets: Sequence[str]) -> None:
        self._url = url
        self._secrets = secrets
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def deliver(self, message: Message) -> DeliveryAttempt:
        """See `activities.ports.AppWebhook`."""
        at = datetime.now(UTC)
        if not self._url:
            problem = "APP_WEBHOOK_URL is not set any more"
            return DeliveryAttempt(at=at, duration_ms=0, status_code=None, error=problem)
        began = time.monotonic()
        answer: httpx.Response | None = None
        error: str | None = None
        try:
            answer = await self._post(message)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            # Its name only: its text may quote the address, which may hold a secret.
            error = type(failure).__name__
        return DeliveryAttempt(
            at=at,
            duration_ms=round((time.monotonic() - began) * 1000),
            status_code=answer.status_code if answer is not None else None,
            error=error,
            retry_after=None
            if answer is None
            else parse_retry_after(answer.headers.get("Retry-After")),
        )

    async def _post(self, message: Message) -> httpx.Response:
        payload = _Payload(type=message.type, timestamp=message.created_at, data=message.data)
        body = payload.model_dump_json().encode()
        headers = signed_headers(body, message.id, self._secrets[0])
        async with (
            asyncio.timeout(TIMEOUT_S),
            self._http.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    break
            return answer
