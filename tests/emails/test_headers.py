"""No name from outside adds a header, to a mail as a real SMTP server gets it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from adapters.smtp_mailer import SmtpMailer
from domain.errors import PermanentError
from domain.mail import Branding, Email, is_address, message_id
from local.mail_inbox.app import create_app
from local.ports import LOCALHOST, free_port
from tests.emails.samples import MAILS, about, facts, order, renderer
from tests.harness.serving import serving

HEADERS = {
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    # Of the inbox itself, from the envelope.
    "Return-Path",
    "X-Delivered-To",
    "X-Received-At",
}
BREAKS = ("\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r\n\r\n")


class Delivery:
    """A mailer, and the inbox that it sends to."""

    def __init__(self, mailer: SmtpMailer, inbox: httpx.AsyncClient) -> None:
        self.mailer = mailer
        self.inbox = inbox

    async def ids(self) -> list[str]:
        listed = (await self.inbox.get("/api/messages")).json()["messages"]
        return [mail["id"] for mail in listed]


@pytest.fixture(scope="module")
async def delivery(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Delivery]:
    port, smtp_port = free_port(), free_port()
    folder: Path = tmp_path_factory.mktemp("inbox")
    async with (
        serving({port: create_app(folder / "mail", smtp_port)}),
        httpx.AsyncClient(base_url=f"http://{LOCALHOST}:{port}") as inbox,
    ):
        yield Delivery(
            SmtpMailer(f"smtp://{LOCALHOST}:{smtp_port}", sender="Shop <shop@example.com>"), inbox
        )


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
async def test_no_name_adds_a_header(delivery: Delivery, line_break: str) -> None:
    hostile = f"Mug{line_break}Bcc: thief@example.com{line_break}{line_break}Pay me"
    sold = order(customer_name=hostile)
    lines = tuple(line.model_copy(update={"description": hostile}) for line in sold.lines)
    sold = sold.model_copy(update={"lines": lines})
    shop = Branding(name=hostile, support_email=hostile, postal_address=hostile)
    for name in MAILS:
        mail = renderer(shop).render(name, sold, about(name), facts(name))
        await delivery.mailer.send(
            Email(
                to="jo@example.com",
                reply_to="help@example.com",
                subject=mail.subject,
                text=mail.text,
                html=mail.html,
                message_id=message_id(sold.session_id, name, line_break, "https://shop.example"),
            )
        )
        newest = (await delivery.ids())[0]
        got = (await delivery.inbox.get(f"/api/messages/{newest}")).json()
        assert {header for header, _ in got["headers"]} == HEADERS
        assert len(got["headers"]) == len(HEADERS)
        assert got["recipients"] == ["jo@example.com"]
        assert got["subject"] == mail.subject
        assert got["text"].split() == mail.text.split()


@pytest.mark.parametrize("field", ["to", "reply_to", "subject"])
async def test_a_header_with_a_line_break_is_not_sent(delivery: Delivery, field: str) -> None:
    email = Email(to="jo@example.com", subject="Hello", text="x", html="x", message_id="<1@x>")
    hostile = email.model_copy(update={field: "jo@example.com\r\nBcc: thief@example.com"})
    before = await delivery.ids()
    with pytest.raises(PermanentError, match="cannot stand in a mail header"):
        await delivery.mailer.send(hostile)
    assert await delivery.ids() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jo",
        "jo@",
        "@example.com",
        "jo@example.com, thief@example.com",
        "jo@example.com;thief@example.com",
        "Jo <jo@example.com>",
        "jo@example.com\r\nBcc: thief@example.com",
        "jo doe@example.com",
        "jo@example.com\n",
        "jo@@example.com",
        f"{'j' * 250}@example.com",
    ],
)
def test_what_is_not_one_address_is_told(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize("text", ["jo@example.com", "jo+shop@mail.example.com", "jö@exämple.com"])
def test_an_address_is_told(text: str) -> None:
    assert is_address(text)


def test_a_message_id_is_the_mails_own_for_ever() -> None:
    names = [("cs_1", "receipt", ""), ("cs_1", "receipt", "resend-1"), ("cs_1", "delivery", "")]
    names += [("cs_1", "parcel_delivered", "cs_1:li_1:shipment"), ("cs_2", "receipt", "")]
    ids = [message_id(*name, "https://shop.example.com:8443/x") for name in names]
    assert ids[:2] == [
        "<cs_1.receipt@shop.example.com>",
        "<cs_1.receipt.resend-1@shop.example.com>",
    ]
    assert len(set(ids)) == len(ids)
    assert ids == [message_id(*name, "https://shop.example.com:8443/x") for name in names]
    assert all(":" not in each for each in ids)
