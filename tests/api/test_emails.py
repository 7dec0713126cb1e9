"""The e-mail log: each mail once, sent again when an operator asks, and what becomes of mails."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import select

from adapters.standard_webhooks import signed_headers
from api.app import create_app
from database.emails import RECEIPT, read_emails
from database.tables import audit
from local.ports import LOCALHOST, free_port
from settings import ReceiptSender
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import OPERATOR_TOKEN, STANDARD_WEBHOOKS_SECRET, World, eventually

BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def log(world: World, session_id: str) -> list[dict[str, Any]]:
    answer = await world.api.get(f"/orders/{session_id}/emails", headers=BEARER)
    assert answer.status_code == 200
    rows: list[dict[str, Any]] = answer.json()
    return rows


async def resend(world: World, session_id: str, name: str = RECEIPT, **body: str) -> Response:
    return await world.api.post(
        f"/orders/{session_id}/emails/{name}/resend", headers=BEARER, json=body or None
    )


async def tell(api: AsyncClient, body: object, secret: str = STANDARD_WEBHOOKS_SECRET) -> Response:
    """Calls the webhook as a mail provider does."""
    content = json.dumps(body).encode()
    headers = signed_headers(content, f"msg_{uuid4().hex}", secret)
    return await api.post("/mail/webhook", content=content, headers=headers)


def problem(type_: str, message_id: str, reason: str = "550 no such user") -> dict[str, object]:
    return {"type": type_, "data": {"message_id": message_id, "reason": reason}}


async def recipients(world: World) -> list[str]:
    """To whom mails came, the oldest first."""
    return [mail["recipients"][0] for mail in reversed(await world.mails())]


async def come(world: World, count: int) -> list[dict[str, Any]]:
    """Waits for so many mails in the inbox; the newest first."""

    async def all_there() -> list[dict[str, Any]] | None:
        mails = await world.mails()
        return mails if len(mails) >= count else None

    mails = await eventually(all_there)
    assert len(mails) == count
    return mails


async def sent(world: World, session_id: str, count: int) -> None:
    """Waits until so many are recorded as sent; before that, to ask again asks for the same one."""

    async def all_sent() -> bool | None:
        return (
            sum(row["sent_at"] is not None for row in await log(world, session_id)) == count or None
        )

    await eventually(all_sent)


async def bought(world: World, email: str = "jo@example.com") -> str:
    """An order that is done, with its receipt mailed; a worker must run."""
    session_id = await world.shop.checkout(await world.shop.price(ACCESS))
    await world.shop.pay(session_id, email=email)
    await world.result(session_id)
    return session_id


async def test_the_log_tells_when_each_mail_was_sent_and_under_which_id(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
    (row,) = await log(world, session_id)
    (mail,) = await world.mails()
    assert row["name"] == "receipt"
    assert row["key"] == ""
    assert row["recipient"] == "jo@example.com"
    assert row["sent_at"] is not None
    assert row["problem"] is None
    assert mail["message_id"] == row["message_id"] == f"<{session_id}.receipt@127.0.0.1>"


async def test_a_mail_is_sent_again_with_an_id_of_its_own(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
        answer = await resend(world, session_id)
        assert answer.status_code == 202
        again, first = await come(world, 2)
    assert answer.json()["key"] == "resend-1"
    assert again["message_id"] == f"<{session_id}.receipt.resend-1@127.0.0.1>"
    assert again["recipients"] == first["recipients"]
    assert again["text"] == first["text"]


async def test_a_corrected_address_gets_this_mail_and_later_ones(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.checkout(
            await world.shop.price(ACCESS), await world.shop.price(MANUAL)
        )
        await world.shop.pay(session_id, email="typo@example.com")
        step = (await world.step_in(session_id, "awaiting_operator")).step
        await come(world, 1)
        await resend(world, session_id, to="right@example.com", by="ann", note="typo, by phone")
        await come(world, 2)
        await sent(world, session_id, 2)
        await resend(world, session_id)
        await come(world, 3)
        await world.decide(session_id, "mark_fulfilled", step, "called")
        await world.result(session_id)
    assert await recipients(world) == ["typo@example.com", *["right@example.com"] * 2]
    assert [(row["name"], row["key"][:7]) for row in await log(world, session_id)][:3] == [
        ("receipt", ""),
        ("receipt", "resend-"),
        ("receipt", "resend-"),
    ]
    async with world.database.transaction() as connection:
        acts = (
            await connection.execute(
                select(audit.c.act, audit.c.by, audit.c.detail)
                .where(audit.c.session_id == session_id, audit.c.act == "email_resent")
                .order_by(audit.c.id)
            )
        ).all()
    assert [tuple(act) for act in acts] == [
        ("email_resent", "ann", "receipt as resend-1, to the address in `to`: typo, by phone"),
        ("email_resent", "operator", "receipt as resend-2, to the order's address"),
    ]


async def test_asked_twice_before_it_is_sent_it_is_sent_once(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
    keys = [(await resend(world, session_id)).json()["key"] for _ in range(3)]
    assert keys == ["resend-1"] * 3
    async with world.worker():
        await come(world, 2)
        assert (await resend(world, session_id)).json()["key"] == "resend-2"
        await come(world, 3)


async def test_a_resend_outlives_a_mail_server_that_is_away(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
        await world.inbox.post("/api/faults", json={"status": 451, "count": 1})
        await resend(world, session_id)
        await come(world, 2)


async def test_the_log_says_why_a_resend_was_refused(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
        await world.inbox.post("/api/faults", json={"status": 550, "count": 1})
        await resend(world, session_id, to="nobody@example.com")

        async def refused() -> str | None:
            _, again = await log(world, session_id)
            told: str | None = again["problem"]
            return told

        assert await eventually(refused) == "not sent: the mail server answered 550"
        await resend(world, session_id, to="nobody@example.com")
        await come(world, 2)
    _, again = await log(world, session_id)
    assert again["sent_at"] is not None
    assert again["problem"] is None


async def test_a_resend_puts_nothing_personal_into_a_history(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
        await resend(world, session_id, to="secret@example.com", by="ann", note="as Jo asked")
        await come(world, 2)
        handle = world.client.get_workflow_handle(f"email-{session_id}-receipt-resend-1")
        await handle.result()
        history = await handle.fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    assert b"resend-1" in stored
    # Nothing so short that an ID may have it by chance.
    personal = (b"secret@example", b"jo@example", b"as Jo asked", b'"ann"')
    assert not any(each in stored for each in personal)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("cs_test_unknown12345/emails/receipt/resend", {}, 404),
        ("a%00b/emails/receipt/resend", {}, 404),
        ("{order}/emails/parcel_delivered/resend", {}, 404),
        ("{order}/emails/receipt/resend", {"to": "jo@example.com\r\nBcc: x@example.com"}, 422),
        ("{order}/emails/receipt/resend", {"to": "jo"}, 422),
        ("{order}/emails/receipt/resend", {"by": ""}, 422),
        ("{order}/emails/receipt/resend", {"note": "\x00"}, 422),
        ("{order}/emails/receipt/resend", {"t0": "jo@example.com"}, 422),
        ("{order}/emails/re%00ceipt/resend", {}, 422),
    ],
)
async def test_what_cannot_be_sent_again_is_told(
    world: World, path: str, body: dict[str, str], status: int
) -> None:
    async with world.worker():
        session_id = await bought(world)
    answer = await world.api.post(
        "/orders/" + path.replace("{order}", session_id), headers=BEARER, json=body
    )
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert len(await log(world, session_id)) == 1


async def test_the_log_is_for_operators(world: World) -> None:
    for method, path in (("GET", "emails"), ("POST", "emails/receipt/resend")):
        answer = await world.api.request(method, f"/orders/cs_test_unknown12345/{path}")
        assert answer.status_code == 401
    answer = await world.api.get("/orders/cs_test_unknown12345/emails", headers=BEARER)
    assert answer.status_code == 404


async def test_after_a_bounce_the_next_mail_waits_for_an_operator(world: World) -> None:
    address = f"{uuid4().hex}@example.com"
    async with world.worker():
        session_id = await bought(world, address)
        (row,) = await log(world, session_id)
        told = await tell(world.api, problem("mail.bounced", row["message_id"].strip("<>")))
        assert told.status_code == 204
        (row,) = await log(world, session_id)
        assert row["bounced_at"] is not None
        assert row["problem"] == "550 no such user"

        price = await world.shop.price(ACCESS)
        second = await world.shop.checkout(price)
        await world.shop.pay(second, email=address)
        stuck = await world.step_in(second, "action_required")
        assert stuck.step == "receipt"
        assert stuck.error is not None
        assert stuck.error.startswith("mail_bounced: the last mail to this address bounced")
        assert f"/orders/{second}/emails/receipt/resend" in stuck.error
        assert address not in stuck.error
        (unsent,) = await log(world, second)
        assert unsent["problem"] == "not sent: the last mail to this address bounced"
        await resend(world, second, to="right@example.com")
        await come(world, 2)
        await world.decide(second, "skip", "receipt", "sent to a corrected address")
        await world.result(second)
    assert await recipients(world) == [address, "right@example.com"]


async def test_who_called_a_mail_spam_gets_receipts_only(world: World) -> None:
    address = f"{uuid4().hex}@example.com"
    sku = await world.new_sku(on_hand=0)
    async with world.worker():
        session_id = await bought(world, address)
        (row,) = await log(world, session_id)
        await tell(world.api, problem("mail.complained", row["message_id"]))
        second = await world.shop.checkout(
            await world.shop.price(ACCESS), await world.shop.price(shipment(sku))
        )
        await world.shop.pay(second, email=address)
        step = (await world.step_in(second, "action_required")).step
        await come(world, 2)
        await world.restock(sku, 1)
        await world.decide(second, "retry", step)
        await world.result(second)
    receipt, late = await log(world, second)
    assert receipt["sent_at"] is not None
    assert late["name"] == "delivery"
    assert late["sent_at"] is None
    assert late["problem"] == "not sent: the recipient has called an earlier mail spam"
    assert len(await world.mails()) == 2


async def test_the_first_word_about_a_mail_counts(world: World) -> None:
    async with world.worker():
        session_id = await bought(world, f"{uuid4().hex}@example.com")
    (row,) = await log(world, session_id)
    for reason in ("first\r\nline", "second"):
        await tell(world.api, problem("mail.bounced", row["message_id"], reason))
    (row,) = await log(world, session_id)
    assert row["problem"] == "first line"


async def test_what_a_provider_tells_brings_no_erased_address_back(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
    (row,) = await log(world, session_id)
    await world.execute(
        f"UPDATE emails SET recipient = NULL WHERE session_id = '{session_id}'"  # noqa: S608 - our own ID
    )
    await tell(world.api, problem("mail.bounced", row["message_id"], "550 jo@example.com unknown"))
    (row,) = await log(world, session_id)
    assert row["bounced_at"] is not None
    assert row["problem"] is None


async def test_what_is_told_of_other_mails_changes_nothing(world: World) -> None:
    for body in (
        problem("mail.bounced", "<somebody-elses@example.com>"),
        {"type": "mail.opened", "data": {}},
    ):
        assert (await tell(world.api, body)).status_code == 204


async def test_a_webhook_that_cannot_be_trusted_is_refused(world: World) -> None:
    body = problem("mail.bounced", "<a@example.com>")
    forged = await tell(world.api, body, "whsec_" + "QUFB" * 8)
    unsigned = await world.api.post("/mail/webhook", json=body)
    for answer in (forged, unsigned, await tell(world.api, {"type": "mail.bounced"})):
        assert answer.status_code == 400
        assert answer.json()["detail"]


async def test_any_of_several_secrets_is_good_and_without_one_there_is_no_webhook(
    world: World,
) -> None:
    new = "whsec_" + "QUFB" * 8
    body = problem("mail.bounced", "<a@example.com>")
    for secrets, expected in (((new, STANDARD_WEBHOOKS_SECRET), 204), ((), 404)):
        secret_settings = world.settings.model_copy(
            update={"mail_webhook_secrets": tuple(SecretStr(each) for each in secrets)}
        )
        port = free_port()
        async with (
            serving({port: create_app(secret_settings)}),
            AsyncClient(base_url=f"http://{LOCALHOST}:{port}") as api,
        ):
            for secret in (new, STANDARD_WEBHOOKS_SECRET):
                assert (await tell(api, body, secret)).status_code == expected


async def test_where_stripe_sends_receipts_what_is_delivered_is_mailed_all_the_same(
    world: World,
) -> None:
    sku = await world.new_sku(on_hand=0)
    async with world.with_settings(receipts=ReceiptSender.STRIPE).worker():
        session_id = await world.shop.checkout(
            await world.shop.price(ACCESS), await world.shop.price(shipment(sku))
        )
        await world.shop.pay(session_id)
        step = (await world.step_in(session_id, "action_required")).step
        (ready,) = await come(world, 1)
        assert ACCESS["access_url"] in ready["text"]
        await world.restock(sku, 1)
        await world.decide(session_id, "retry", step)
        await world.result(session_id)
        late, _ = await come(world, 2)
    assert ready["subject"] == "Ready for you: access"
    assert late["subject"] == "Ready for you: shipment"
    assert {row["name"] for row in await log(world, session_id)} == {"delivery"}


async def test_where_stripe_sends_receipts_nothing_is_mailed_of_nothing(world: World) -> None:
    async with world.with_settings(receipts=ReceiptSender.STRIPE).worker():
        session_id = await world.shop.buy(MANUAL)
        step = (await world.step_in(session_id, "awaiting_operator")).step
        await world.decide(session_id, "skip", step, "as agreed")
        await world.result(session_id)
    assert await world.mails() == []
    assert await log(world, session_id) == []


async def test_many_resends_at_once_are_one_mail(world: World) -> None:
    async with world.worker():
        session_id = await bought(world)
    answers = await asyncio.gather(*(resend(world, session_id) for _ in range(5)))
    assert {answer.json()["key"] for answer in answers} == {"resend-1"}
    async with world.database.transaction() as connection:
        assert len(await read_emails(connection, session_id)) == 2
