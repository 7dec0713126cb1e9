"""Bodies that a signature covers byte by byte: read raw, and only up to a limit."""

from fastapi import Request
from starlette.requests import ClientDisconnect

from domain.errors import InvalidWebhookError

MAX_BODY_BYTES = 1024 * 1024
"""Many times the largest that anybody has reason to send."""


async def read_body(request: Request) -> bytes:
    """The body as it came.

    Raises:
        InvalidWebhookError: It is too large, or broke off.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise InvalidWebhookError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    except ClientDisconnect as error:
        raise InvalidWebhookError("the body broke off") from error
    return bytes(body)
