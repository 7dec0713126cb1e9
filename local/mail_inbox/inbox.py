"""The mails that came in, in a Maildir, which mail programs open too."""

import mailbox
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel


class Summary(BaseModel):
    """One mail as the list shows it."""

    id: str
    received_at: datetime
    sender: str
    recipients: list[str]
    """Whom the mail was handed over for, hidden copies too."""
    subject: str
    message_id: str


class Message(Summary):
    """One mail with its contents."""

    headers: list[tuple[str, str]]
    text: str | None
    html: str | None


class NoSuchMessageError(Exception):
    """No mail has this ID."""


class Inbox:
    """The mails, on disk; what the list needs is also kept in memory."""

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._mails = mailbox.Maildir(str(folder))
        loaded = [_summary(key, self._mails.get_bytes(key)) for key in self._mails.iterkeys()]
        loaded.sort(key=lambda summary: summary.received_at)
        self._summaries = {summary.id: summary for summary in loaded}

    def add(self, content: bytes, sender: str, recipients: list[str]) -> None:
        """Keeps a mail as it came, with its envelope in headers above, as mail servers do."""
        envelope = [
            f"Return-Path: <{sender}>",
            *(f"X-Delivered-To: {recipient}" for recipient in recipients),
            f"X-Received-At: {datetime.now(UTC).isoformat()}",
        ]
        headers = "".join(f"{line}\n" for line in envelope).encode()
        raw = headers + content.replace(b"\r\n", b"\n")
        key = self._mails.add(raw)
        self._summaries[key] = _summary(key, raw)

    def clear(self) -> None:
        """Throws all mails away."""
        self._mails.clear()
        self._summaries.clear()

    def __len__(self) -> int:
        """How many mails there are."""
        return len(self._summaries)

    def newest_first(self, skip: int = 0) -> list[Summary]:
        """All mails but the `skip` oldest, the last received first."""
        return list(islice(reversed(self._summaries.values()), max(0, len(self) - skip)))

    def raw(self, key: str) -> bytes:
        """One mail as it came; raises NoSuchMessageError."""
        if key not in self._summaries:
            raise NoSuchMessageError(f"no such message: {key}")
        return self._mails.get_bytes(key)

    def message(self, key: str) -> Message:
        """One mail taken apart; raises NoSuchMessageError."""
        mail = _parse(self.raw(key))
        return Message(
            **dict(self._summaries[key]),
            headers=[(name, str(value)) for name, value in mail.items()],
            text=_body(mail, "plain"),
            html=_body(mail, "html"),
        )


def _parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, EmailMessage, policy=policy.default)


def _summary(key: str, raw: bytes) -> Summary:
    mail = _parse(raw)
    return Summary(
        id=key,
        received_at=datetime.fromisoformat(mail["X-Received-At"]),
        sender=str(mail["From"] or mail["Return-Path"]),
        recipients=[str(recipient) for recipient in mail.get_all("X-Delivered-To", [])],
        subject=str(mail["Subject"] or ""),
        message_id=str(mail["Message-ID"] or ""),
    )


def _body(mail: EmailMessage, kind: str) -> str | None:
    part: Any = mail.get_body((kind,))
    return None if part is None else str(part.get_content())
