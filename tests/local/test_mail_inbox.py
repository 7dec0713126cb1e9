"""The local mail inbox: what comes in over SMTP, what its pages and its API show."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest

from local.mail_inbox.app import create_app
from local.ports import LOCALHOST, free_port
from tests.harness.serving import serving


@dataclass
class Mailbox:
    """A running inbox."""

    web: httpx.AsyncClient
    smtp_port: int

    async def send(self, mail: EmailMessage, recipients: list[str] | None = None) -> None:
        await aiosmtplib.send(mail, hostname=LOCALHOST, port=self.smtp_port, recipients=recipients)

    async def messages(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.web.get("/api/messages")).json()["messages"]
        return listed


@asynccontextmanager
async def running_inbox(folder: Path) -> AsyncIterator[Mailbox]:
    port, smtp_port = free_port(), free_port()
    async with (
        serving({port: create_app(folder / "mail", smtp_port)}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}") as web,
    ):
        yield Mailbox(web, smtp_port)


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with running_inbox(tmp_path) as opened:
        yield opened


def receipt(subject: str = "Receipt: ¥1,200 — danke") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Shop <shop@example.com>"
    mail["To"] = "jenny@example.com"
    mail["Subject"] = subject
    mail["Message-ID"] = "<receipt-1@example.com>"
    mail.set_content("Plain text with ümlaut\n")
    mail.add_alternative("<p>HTML part</p><script>alert(1)</script>", subtype="html")
    return mail


async def test_mail_is_listed_and_taken_apart(mailbox: Mailbox) -> None:
    await mailbox.send(receipt())
    (summary,) = await mailbox.messages()
    assert summary["subject"] == "Receipt: ¥1,200 — danke"
    assert summary["sender"] == "Shop <shop@example.com>"
    assert summary["recipients"] == ["jenny@example.com"]
    assert summary["message_id"] == "<receipt-1@example.com>"
    message = (await mailbox.web.get(f"/api/messages/{summary['id']}")).json()
    assert message["text"] == "Plain text with ümlaut\n"
    assert "<p>HTML part</p>" in message["html"]
    assert ["To", "jenny@example.com"] in message["headers"]


async def test_recipients_are_the_envelopes(mailbox: Mailbox) -> None:
    await mailbox.send(receipt(), recipients=["hidden@example.com", "other@example.com"])
    (summary,) = await mailbox.messages()
    assert summary["recipients"] == ["hidden@example.com", "other@example.com"]


async def test_page_frames_the_html_part_without_its_scripts(mailbox: Mailbox) -> None:
    await mailbox.send(receipt("<b>bold</b> subject"))
    (summary,) = await mailbox.messages()
    page = (await mailbox.web.get(f"/messages/{summary['id']}")).text
    assert "&lt;b&gt;bold&lt;/b&gt; subject" in page
    assert '<iframe sandbox="allow-popups' in page
    assert "Plain text with ümlaut" in page
    assert "alert(1)" not in page
    part = await mailbox.web.get(f"/messages/{summary['id']}/html")
    policy = part.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy


async def test_raw_mail_is_what_was_sent(mailbox: Mailbox) -> None:
    await mailbox.send(receipt())
    (summary,) = await mailbox.messages()
    raw = await mailbox.web.get(f"/messages/{summary['id']}/raw")
    assert raw.headers["Content-Type"].startswith("text/plain")
    assert "Message-ID: <receipt-1@example.com>\n" in raw.text


async def test_list_page_shows_the_newest_first(mailbox: Mailbox) -> None:
    assert "No mails yet" in (await mailbox.web.get("/")).text
    for subject in ("first", "second"):
        await mailbox.send(receipt(subject))
    page = (await mailbox.web.get("/")).text
    assert page.index("second") < page.index("first")
    assert [message["subject"] for message in await mailbox.messages()] == ["second", "first"]


async def test_the_list_waits_for_a_mail_that_was_not_seen_yet(mailbox: Mailbox) -> None:
    await mailbox.send(receipt("first"))
    waiting = asyncio.create_task(
        mailbox.web.get("/api/messages", params={"skip": 1, "wait_s": 20}, timeout=30)
    )
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await mailbox.send(receipt("second"))
    subjects = [mail["subject"] for mail in (await waiting).json()["messages"]]
    assert subjects == ["second"]
    over = await mailbox.web.get("/api/messages", params={"skip": 2, "wait_s": 0.05})
    assert over.json() == {"messages": []}


async def test_unknown_message_is_not_found(mailbox: Mailbox) -> None:
    for path in ("/api/messages/nope", "/messages/nope", "/messages/nope/raw"):
        assert (await mailbox.web.get(path)).status_code == 404


async def test_emptied_inbox_is_empty_on_disk_too(mailbox: Mailbox, tmp_path: Path) -> None:
    await mailbox.send(receipt())
    await mailbox.web.delete("/api/messages")
    assert await mailbox.messages() == []
    assert not [path for path in (tmp_path / "mail").rglob("*") if path.is_file()]


async def test_mails_are_kept_between_runs(tmp_path: Path) -> None:
    async with running_inbox(tmp_path) as mailbox:
        await mailbox.send(receipt("first"))
        await mailbox.send(receipt("second"))
        before = await mailbox.messages()
    async with running_inbox(tmp_path) as mailbox:
        assert await mailbox.messages() == before


@pytest.mark.parametrize("status", [451, 550])
async def test_told_to_refuse_once_it_takes_the_next(mailbox: Mailbox, status: int) -> None:
    await mailbox.web.post("/api/faults", json={"status": status, "count": 1})
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await mailbox.send(receipt())
    assert refused.value.code == status
    assert await mailbox.messages() == []
    await mailbox.send(receipt())
    assert len(await mailbox.messages()) == 1


async def test_refusing_without_a_count_goes_on_until_cleared(mailbox: Mailbox) -> None:
    await mailbox.web.post("/api/faults", json={"status": 451, "count": None})
    for _ in range(3):
        with pytest.raises(aiosmtplib.SMTPDataError):
            await mailbox.send(receipt())
    await mailbox.web.delete("/api/faults")
    await mailbox.send(receipt())
    assert len(await mailbox.messages()) == 1


async def test_without_room_it_says_so_and_takes_the_next_when_there_is(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    # Where mails are written before they are kept.
    (tmp_path / "mail" / "tmp").rename(tmp_path / "away")
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await mailbox.send(receipt())
    assert refused.value.code == 452
    (tmp_path / "away").rename(tmp_path / "mail" / "tmp")
    await mailbox.send(receipt())
    assert len(await mailbox.messages()) == 1


async def test_delay_holds_every_mail_back(mailbox: Mailbox) -> None:
    await mailbox.web.post("/api/faults", json={"delay_ms": 200})
    started = time.monotonic()
    await mailbox.send(receipt())
    assert time.monotonic() - started >= 0.2
    assert len(await mailbox.messages()) == 1
