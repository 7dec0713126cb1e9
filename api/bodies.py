"""The bodies of requests: their limit, and those that a signature covers byte by byte."""

from fastapi import Request
from starlette.requests import ClientDisconnect

from domain.errors import InvalidWebhookError

MAX_BODY_BYTES = 1024 * 1024
"""Many times the largest that anybody has reason to send; more is answered 413."""


async def read_body(request: Request) -> bytes:
    """The body as it came.

    Raises:
        InvalidWebhookError: It broke off.
    """
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise InvalidWebhookError("the body broke off") from error
