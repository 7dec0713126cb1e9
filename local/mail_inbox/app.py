"""The inbox's SMTP receiver, HTTP interface and pages, in one asyncio loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from local.faults import Faults
from local.mail_inbox.inbox import Inbox, Message, NoSuchMessageError, Summary
from local.ports import LOCALHOST
from local.web import pages

# A mail is a stranger's page: no scripts, nothing loaded from elsewhere; links open new tabs.
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
)

NO_ROOM = "452 Requested action not taken: insufficient system storage"
"""Source: RFC 5321, "Reply Codes in Numeric Order"."""
MAX_WAIT_S = 30

router = APIRouter()


class Receiver:
    """What aiosmtpd calls when a mail comes in."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._arrival = asyncio.Condition()
        self.faults = Faults()

    async def wait_for_more_than(self, count: int, timeout_s: float) -> None:
        """Waits until so many mails and one more are there, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._arrival:
                await self._arrival.wait_for(lambda: len(self._inbox) > count)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keeps the mail, or refuses it when told to; returns the SMTP answer."""
        await self.faults.delay()
        if status := self.faults.take():
            return f"{status} told to fail"
        # The sender is empty in bounces.
        content, sender = envelope.original_content or b"", envelope.mail_from or ""
        try:
            self._inbox.add(content, sender, envelope.rcpt_tos)
        except OSError:
            return NO_ROOM
        async with self._arrival:
            self._arrival.notify_all()
        return "250 kept in the local inbox"


def _inbox(request: Request) -> Inbox:
    inbox: Inbox = request.app.state.inbox
    return inbox


def _receiver(request: Request) -> Receiver:
    receiver: Receiver = request.app.state.receiver
    return receiver


TheInbox = Annotated[Inbox, Depends(_inbox)]
TheReceiver = Annotated[Receiver, Depends(_receiver)]


@router.get("/api/messages")
async def list_messages(
    inbox: TheInbox,
    receiver: TheReceiver,
    skip: Annotated[int, Query(ge=0)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> dict[str, list[Summary]]:
    """All mails but the `skip` oldest, newest first, without bodies.

    Where there is none, it waits up to `wait_s` for one.
    """
    if wait_s:
        await receiver.wait_for_more_than(skip, wait_s)
    return {"messages": inbox.newest_first(skip)}


@router.get("/api/messages/{message_id}")
async def get_message(message_id: str, inbox: TheInbox) -> Message:
    """One mail with its contents."""
    return inbox.message(message_id)


@router.delete("/api/messages", status_code=204)
async def clear(inbox: TheInbox) -> None:
    """Empties the inbox."""
    inbox.clear()


@router.post("/api/faults")
async def set_faults(faults: Faults, receiver: TheReceiver) -> Faults:
    """Replaces what goes wrong."""
    receiver.faults = faults
    return faults


@router.delete("/api/faults", status_code=204)
async def clear_faults(receiver: TheReceiver) -> None:
    """Lets nothing go wrong any more."""
    receiver.faults = Faults()


@router.get("/", response_class=HTMLResponse)
async def list_page(request: Request, inbox: TheInbox) -> Response:
    """The page of all mails."""
    return pages.TemplateResponse(request, "mails.html", {"messages": inbox.newest_first()})


@router.get("/messages/{message_id}", response_class=HTMLResponse)
async def message_page(request: Request, message_id: str, inbox: TheInbox) -> Response:
    """The page of one mail."""
    message = inbox.message(message_id)
    return pages.TemplateResponse(request, "mail.html", {"message": message})


@router.get("/messages/{message_id}/html", response_class=HTMLResponse)
async def html_part(message_id: str, inbox: TheInbox) -> Response:
    """The mail's HTML part by itself, for the frame in the mail's page."""
    html = inbox.message(message_id).html or ""
    headers = {"Content-Security-Policy": MAIL_POLICY}
    return HTMLResponse(f'<base target="_blank">{html}', headers=headers)


@router.get("/messages/{message_id}/raw", response_class=PlainTextResponse)
async def raw(message_id: str, inbox: TheInbox) -> Response:
    """The mail as it came."""
    return PlainTextResponse(inbox.raw(message_id))


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers when the inbox does."""
    return {}


def create_app(folder: Path, smtp_port: int) -> FastAPI:
    """The inbox as a web application which also listens for mail while it runs."""
    inbox = Inbox(folder)
    receiver = Receiver(inbox)

    @asynccontextmanager
    async def receive(_: FastAPI) -> AsyncIterator[None]:
        # In this loop, not in a thread as aiosmtpd's controller does: no locks are needed.
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(receiver, enable_SMTPUTF8=True), LOCALHOST, smtp_port
        )
        async with server:
            yield

    app = FastAPI(title="Local mail inbox", lifespan=receive)
    app.state.inbox = inbox
    app.state.receiver = receiver
    app.include_router(router)

    @app.exception_handler(NoSuchMessageError)
    def unknown(_: Request, error: NoSuchMessageError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=404)

    return app
