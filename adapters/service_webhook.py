"""The merchant's own service, reached by a signed webhook; its contract is in docs/service.md.

Source: the Standard Webhooks specification, "Webhook headers" and "Best practices".
"""

import asyncio
from collections.abc import Sequence
from typing import Self

import httpx
from pydantic import ValidationError

from adapters.http_errors import error_for_status
from adapters.standard_webhooks import signed_headers
from domain.errors import MisconfiguredError, PermanentError, TransientError
from domain.services import CallStatus, ServiceAnswer, ServiceRequest, ServiceReversalRequest

VENDOR = "service"
TIMEOUT_S = 30.0
"""For a whole answer."""
MAX_ANSWER_BYTES = 256 * 1024


class WebhookService:
    """Asks with `POST` of the whole request as JSON; follows no redirects.

    Args:
        secrets: `whsec_…`; the first one signs.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def fulfill(self, url: str, request: ServiceRequest) -> ServiceAnswer:
        """See `activities.ports.MerchantService`."""
        return await self._ask(url, request)

    async def reverse(self, url: str, request: ServiceReversalRequest) -> ServiceAnswer:
        """See `activities.ports.MerchantService`."""
        return await self._ask(url, request)

    async def _ask(
        self, url: str, request: ServiceRequest | ServiceReversalRequest
    ) -> ServiceAnswer:
        if not self._secrets:
            raise MisconfiguredError(
                f"{VENDOR}_unsigned", "APP_WEBHOOK_SECRETS is missing: the kind `webhook` needs it"
            )
        body = request.model_dump_json().encode()
        headers = signed_headers(body, request.id, self._secrets[0])
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._http.stream("POST", url, content=body, headers=headers) as answer,
            ):
                if not answer.is_success:
                    # Its text stays out: it may quote the customer.
                    raise error_for_status(
                        VENDOR,
                        answer.status_code,
                        answer.reason_phrase,
                        answer.headers.get("Retry-After"),
                    )
                return _read(answer.status_code, await _bounded(answer))
        except httpx.InvalidURL as error:
            raise PermanentError(f"{VENDOR}_refused", "webhook_url is no URL") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise TransientError(
                f"{VENDOR}_unavailable", f"{VENDOR}: {type(error).__name__}"
            ) from error


async def _bounded(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise TransientError(
                f"{VENDOR}_unreadable", f"the answer is larger than {MAX_ANSWER_BYTES} bytes"
            )
    return bytes(content)


def _read(status: int, content: bytes) -> ServiceAnswer:
    if status == httpx.codes.ACCEPTED and not content.strip():
        return ServiceAnswer(status=CallStatus.PENDING)
    try:
        return ServiceAnswer.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "body"
        # It may have fulfilled: the next try asks again, under the same ID.
        raise TransientError(
            f"{VENDOR}_unreadable",
            f"{VENDOR} answered {status}, unreadable: {place}: {problem['type']}",
        ) from error
