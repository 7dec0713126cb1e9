"""Each mail goes out once, but in the one window that SMTP leaves open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.smtp import SMTP

from activities.mails import Mails
from adapters.smtp_mailer import SmtpMailer
from database.emails import RECEIPT
from domain.errors import FulfillmentError, TransientError
from domain.mail import Email
from local.ports import LOCALHOST, free_port
from tests.emails.samples import renderer
from tests.harness.world import World


def _mails(world: World) -> Mails:
    smtp_url = world.settings.smtp_url.get_secret_value()
    return Mails(
        world.database,
        SmtpMailer(smtp_url, sender=world.settings.mail_from),
        renderer(),
        public_url=world.settings.public_url,
    )


async def _order(world: World) -> str:
    """An order as it stands before its receipt."""
    session_id = f"cs_test_{uuid4().hex}"
    await world.execute(
        "INSERT INTO orders (session_id, state, customer_email) "  # noqa: S608 - our own ID
        f"VALUES ('{session_id}', 'fulfilling', '{session_id}@example.com')"
    )
    return session_id


@asynccontextmanager
async def _cannot_record(world: World) -> AsyncIterator[None]:
    """As if the worker died after the mail server had accepted the mail."""
    await world.execute("ALTER TABLE emails ADD CONSTRAINT died CHECK (sent_at IS NULL) NOT VALID")
    try:
        yield
    finally:
        await world.execute("ALTER TABLE emails DROP CONSTRAINT died")


async def _ids(world: World) -> list[str]:
    mails: list[dict[str, Any]] = await world.mails()
    return [mail["message_id"] for mail in mails]


async def test_a_mail_that_was_sent_is_not_sent_again(world: World) -> None:
    session_id = await _order(world)
    for _ in range(3):
        await _mails(world).send(session_id, RECEIPT)
    assert len(await _ids(world)) == 1


async def test_a_mail_that_was_not_accepted_is_sent_by_the_next_try(world: World) -> None:
    session_id = await _order(world)
    await world.inbox.post("/api/faults", json={"status": 451, "count": 1})
    with pytest.raises(TransientError):
        await _mails(world).send(session_id, RECEIPT)
    await _mails(world).send(session_id, RECEIPT)
    assert len(await _ids(world)) == 1


async def test_mails_of_one_name_are_told_apart_by_their_keys(world: World) -> None:
    session_id = await _order(world)
    for key in ("one", "two", "one"):
        await _mails(world).send(session_id, RECEIPT, key=key)
    assert len(set(await _ids(world))) == 2


async def test_in_the_open_window_a_mail_goes_out_again_under_its_id(world: World) -> None:
    session_id = await _order(world)
    async with _cannot_record(world):
        with pytest.raises(FulfillmentError):
            await _mails(world).send(session_id, RECEIPT)
    await _mails(world).send(session_id, RECEIPT)
    first, second = await _ids(world)
    assert first == second == f"<{session_id}.receipt@127.0.0.1>"


class SlowGoodbye:
    """A mail server, as aiosmtpd calls it, that takes its time only once it is done."""

    def __init__(self) -> None:
        self.said = asyncio.Event()
        self.end = asyncio.Event()

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        return "250 taken"

    async def handle_QUIT(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        self.said.set()
        await self.end.wait()
        return "221 goodbye"


async def test_a_mail_counts_as_sent_before_the_mail_servers_goodbye() -> None:
    """A worker that dies meanwhile would send it again."""
    server, port = SlowGoodbye(), free_port()
    mail = Email(to="jo@example.com", subject="Hello", text="x", html="x", message_id="<1@x>")
    listening = asyncio.get_running_loop().create_server(lambda: SMTP(server), LOCALHOST, port)
    async with await listening:
        try:
            async with asyncio.timeout(5):
                await SmtpMailer(f"smtp://{LOCALHOST}:{port}", sender="shop@example.com").send(mail)
                await server.said.wait()
        finally:
            server.end.set()


async def test_without_an_address_nothing_is_sent(world: World) -> None:
    session_id = await _order(world)
    await world.execute(
        "UPDATE orders SET customer_email = NULL "  # noqa: S608 - our own ID
        f"WHERE session_id = '{session_id}'"
    )
    await _mails(world).send(session_id, RECEIPT)
    assert await _ids(world) == []
