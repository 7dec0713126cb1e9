"""`GET /downloads/{token}`: a file that a customer has bought, by its signed link.

Source: RFC 9110, "Range Requests".
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.types import Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.landing import read_one
from api.pages import locale_for, page
from api.services import Services, ServicesOf
from database.access_log import Use, log_use
from database.downloads import begin_download, give_back, read_download
from domain.downloads import Part, RangeUnsatisfiableError, requested_part
from domain.errors import FulfillmentError, MisconfiguredError
from domain.ids import FulfillmentRef
from domain.links import DownloadToken, LinkExpiredError, LinkInvalidError

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Downloads"])

MAX_USER_AGENT = 500
"""Characters of it that are kept."""
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@router.head("/downloads/{token}", include_in_schema=False)
@router.get(
    "/downloads/{token}",
    response_class=FileResponse,
    responses={
        206: {"description": "The part that was asked for"},
        403: {"description": "It was loaded as often as it may be"},
        404: {"description": "We did not sign this link"},
        410: {"description": "Its time is over, or it was revoked"},
        503: {"description": "The file is not there; nothing is counted"},
    },
)
async def download(token: str, request: Request, services: ServicesOf) -> Response:
    """The file, or a part of it; what is sent of it counts against its limit."""
    try:
        named = await _read(services, token)
    except LinkExpiredError as error:
        return await _refusal(request, services, error.ref, "download_over", status=410)
    except LinkInvalidError:
        return page(request, "not_found", status=404)
    path = _find(services, named.file)
    if path is None:
        return await _refusal(request, services, named.ref, "download_missing", status=503)
    answer = _FileAnswer(path, request)
    if request.method == "HEAD":
        return answer
    async with services.database.transaction() as connection:
        may_be_sent = await begin_download(
            connection,
            named.ref,
            named.file,
            wanted=answer.wanted,
            size=answer.size,
            is_begun=answer.is_begun,
        )
        if may_be_sent and answer.is_begun:
            await log_use(
                connection,
                named.ref,
                Use.DOWNLOADED,
                named.file,
                ip=request.client.host if request.client else None,
                user_agent=request.headers.get("user-agent", "")[:MAX_USER_AGENT],
            )
    if not may_be_sent:
        return await _refusal(request, services, named.ref, "download_limit", status=403)
    answer.give_back = _giving_back(services, named)
    return answer


async def _refusal(
    request: Request, services: Services, ref: FulfillmentRef, name: str, *, status: int
) -> HTMLResponse:
    """The page that says why a file is not sent, in the language of its order."""
    order = await read_one(services, ref.session_id)
    locale = locale_for(request, order.locale if order else None)
    return page(request, name, status=status, locale=locale)


async def _read(services: Services, token: str) -> DownloadToken:
    """What a link names.

    Raises:
        LinkInvalidError: We did not sign it.
        LinkExpiredError: Its time is over, or what it names was revoked.
    """
    named = services.links.read_download(token)
    bind_contextvars(session_id=named.ref.session_id)
    async with services.database.transaction() as connection:
        offered = await read_download(connection, named.ref, named.file)
    if offered is None or offered.is_over:
        raise LinkExpiredError(named.ref)
    return named


def _find(services: Services, file: str) -> Path | None:
    path = None
    with suppress(MisconfiguredError):
        path = services.files.find(file)
    if path is None:
        logger.error("a download is refused: %r is not in DOWNLOADS_FOLDER", file)
    return path


def _giving_back(services: Services, named: DownloadToken) -> Callable[[int], Awaitable[None]]:
    async def giving_back(unsent: int) -> None:
        async with services.database.transaction() as connection:
            await give_back(connection, named.ref, named.file, unsent)

    return giving_back


class _FileAnswer(FileResponse):
    """A file that tells how much of it is asked for, and gives back what was not sent.

    Args:
        path: The file.
        request: What was asked.
    """

    def __init__(self, path: Path, request: Request) -> None:
        stat = path.stat()
        changed = f"{stat.st_mtime_ns}-{stat.st_size}"
        etag = f'"{sha256(changed.encode()).hexdigest()[:32]}"'
        super().__init__(
            path, filename=path.name, stat_result=stat, headers={**_HEADERS, "ETag": etag}
        )
        self.size = stat.st_size
        self.give_back: Callable[[int], Awaitable[None]] | None = None
        still = {None, etag, formatdate(stat.st_mtime, usegmt=True)}
        asked = request.headers.get("range", "") if request.headers.get("if-range") in still else ""
        part = _part(asked, self.size)
        self.wanted = part.length
        self.is_begun = part.start == 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, counting."""
        sent = 0

        async def counting(message: Message) -> None:
            nonlocal sent
            await send(message)
            if message["type"] == "http.response.body":
                sent += len(message.get("body", b""))

        try:
            # Without extensions: a server that sends the file by itself counts nothing.
            await super().__call__({**scope, "extensions": {}}, receive, counting)
        finally:
            if self.give_back is not None and sent < self.wanted:
                with suppress(FulfillmentError):
                    await self.give_back(self.wanted - sent)


def _part(asked: str, size: int) -> Part:
    """Which part is sent for a header `Range`."""
    try:
        return requested_part(asked, size) or Part(0, size)
    except RangeUnsatisfiableError:
        return Part(size, 0)
