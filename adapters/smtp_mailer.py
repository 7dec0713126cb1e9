"""Mail by SMTP."""

import asyncio
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import localtime
from urllib.parse import unquote, urlsplit

import aiosmtplib

from domain.errors import MisconfiguredError, PermanentError, TransientError
from domain.mail import Email

VENDOR = "mail"
CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 600.0
"""RFC 5321, 4.5.3.2.6: whoever gives up earlier on the answer to a mail sends it twice."""
DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
AUTHENTICATION_CODES = frozenset({530, 534, 535})
FIRST_PERMANENT_CODE = 500


class SmtpMailer:
    """Sends each mail over a connection of its own.

    Args:
        url: `smtp://`, `smtp+starttls://` or `smtps://`, with `user:password@` where needed.
        sender: The From address, `shop@example.com` or `Shop <shop@example.com>`.
    """

    def __init__(self, url: str, *, sender: str) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def send(self, email: Email) -> None:
        """See `activities.ports.Mailer`."""
        message = self._compose(email)
        client = self._client()
        try:
            await client.connect()
            await client.send_message(message, timeout=ANSWER_TIMEOUT_S)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _answered(max(refusal.code for refusal in error.recipients)) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _answered(error.code) from error
        except aiosmtplib.SMTPNotSupported as error:
            raise PermanentError(
                f"{VENDOR}_refused", "the mail server cannot take this address or message"
            ) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise TransientError(
                f"{VENDOR}_unavailable", f"mail server: {type(error).__name__}"
            ) from error
        finally:
            # Behind the caller's back: the mail is accepted or not by now, and until the caller has
            # recorded it, whoever dies sends it again. The loop itself holds its tasks but weakly.
            goodbye = asyncio.create_task(_say_goodbye(client))
            self._goodbyes.add(goodbye)
            goodbye.add_done_callback(self._goodbyes.discard)

    def _client(self) -> aiosmtplib.SMTP:
        url = self._url
        return aiosmtplib.SMTP(
            hostname=url.hostname,
            port=url.port or DEFAULT_PORTS[url.scheme],
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            use_tls=url.scheme == "smtps",
            start_tls=url.scheme == "smtp+starttls",
            timeout=CONNECT_TIMEOUT_S,
        )

    def _compose(self, email: Email) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        try:
            message["From"] = self._sender
            message["To"] = email.to
            if email.reply_to is not None:
                message["Reply-To"] = email.reply_to
            message["Subject"] = email.subject
        except ValueError as error:
            raise PermanentError(
                f"{VENDOR}_address_invalid", "the address cannot stand in a mail header"
            ) from error
        message["Date"] = localtime()
        message["Message-ID"] = email.message_id
        # RFC 3834: answers by machines, such as absence notices, are not wanted.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(email.text)
        message.add_alternative(email.html, subtype="html")
        return message


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
    finally:
        client.close()


def _answered(code: int) -> PermanentError | TransientError:
    message = f"the mail server answered {code}"
    if code in AUTHENTICATION_CODES:
        return MisconfiguredError(f"{VENDOR}_unauthorized", message)
    if code >= FIRST_PERMANENT_CODE:
        return PermanentError(f"{VENDOR}_refused", message)
    return TransientError(f"{VENDOR}_unavailable", message)
