"""Subscription sessions that are paid by bank debit, and where a client sees how it went."""

from typing import Any

import pytest
import stripe

from .conftest import Control, Inbox, Shop
from .test_schema import Emitted, check_all

HOUR_S = 3600


@pytest.fixture
async def unpaid(
    client: stripe.StripeClient, shop: Shop, control: Control
) -> stripe.checkout.Session:
    """A completed subscription session whose bank debit is under way."""
    price = client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 900,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Plan"},
        }
    )
    items = [{"price": price.id, "quantity": 1}]
    session = shop.session(mode="subscription", line_items=items)
    await control.post(f"/sessions/{session.id}/pay", method="bank_debit")
    return client.v1.checkout.sessions.retrieve(session.id)


def states(client: stripe.StripeClient, session_id: str) -> tuple[Any, ...]:
    """Of session, subscription, invoice, invoice payment and intent, as a client sees them."""
    session = client.v1.checkout.sessions.retrieve(
        session_id, {"expand": ["subscription", "invoice.payments"]}
    )
    assert session.payment_intent is None
    assert isinstance(session.subscription, stripe.Subscription)
    assert isinstance(session.invoice, stripe.Invoice)
    assert session.invoice.payments is not None
    [payment] = session.invoice.payments.data
    assert isinstance(payment.payment.payment_intent, str)
    intent = client.v1.payment_intents.retrieve(payment.payment.payment_intent)
    return (
        session.payment_status,
        session.subscription.status,
        session.invoice.status,
        payment.status,
        intent.status,
    )


async def test_a_bank_debit_that_goes_through_starts_the_subscription(
    unpaid: stripe.checkout.Session,
    client: stripe.StripeClient,
    control: Control,
    inbox: Inbox,
    base_url: str,
) -> None:
    waiting = ("unpaid", "incomplete", "open", "open", "processing")
    assert states(client, unpaid.id) == waiting
    await control.post(f"/sessions/{unpaid.id}/settle")
    paid = ("paid", "active", "paid", "paid", "succeeded")
    assert states(client, unpaid.id) == paid
    [told] = await inbox.wait_for("checkout.session.async_payment_succeeded")
    assert told.event().data.object["payment_status"] == "paid"
    await control.post("/clock", advance_s=24 * HOUR_S)
    assert states(client, unpaid.id) == paid
    refund = await control.post(f"/sessions/{unpaid.id}/refund", amount=100)
    assert refund["refund"]["amount"] == 100
    assert check_all(base_url, "subscriptions", "invoices", "invoice_payments") >= {
        "invoice.paid", "invoice_payment.paid", "customer.subscription.updated",
    }  # fmt: skip


async def test_a_bank_debit_that_comes_back_shows_at_the_invoices_intent(
    unpaid: stripe.checkout.Session,
    client: stripe.StripeClient,
    control: Control,
    inbox: Inbox,
    base_url: str,
) -> None:
    await control.post(f"/sessions/{unpaid.id}/fail")
    failed = ("unpaid", "incomplete", "open", "open", "requires_payment_method")
    assert states(client, unpaid.id) == failed
    [told] = await inbox.wait_for("checkout.session.async_payment_failed")
    assert told.event().data.object["payment_status"] == "unpaid"

    await control.post("/clock", advance_s=23 * HOUR_S)
    assert states(client, unpaid.id) == (
        "unpaid", "incomplete_expired", "void", "canceled", "canceled",
    )  # fmt: skip
    assert check_all(base_url, "subscriptions", "invoices", "invoice_payments") >= {
        "invoice.payment_failed", "invoice.voided", "payment_intent.canceled",
    }  # fmt: skip
    refused = await control.http.post(f"/_emulator/sessions/{unpaid.id}/settle")
    assert refused.status_code == 400


async def test_a_debit_under_way_after_the_first_day_keeps_the_subscription(
    unpaid: stripe.checkout.Session, client: stripe.StripeClient, control: Control
) -> None:
    await control.post("/clock", advance_s=48 * HOUR_S)
    assert states(client, unpaid.id)[1] == "incomplete"
    await control.post(f"/sessions/{unpaid.id}/fail")
    assert states(client, unpaid.id)[1] == "incomplete_expired"


async def test_a_later_attempt_starts_the_subscription(
    unpaid: stripe.checkout.Session, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    await control.post(f"/sessions/{unpaid.id}/fail")
    [payment] = client.v1.invoice_payments.list({"invoice": str(unpaid.invoice)}).data
    intent_id = str(payment.payment.payment_intent)
    client.v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_visa"})
    await inbox.wait_for("checkout.session.async_payment_succeeded")
    assert states(client, unpaid.id) == ("paid", "active", "paid", "paid", "succeeded")
    by_intent: Any = {"payment": {"type": "payment_intent", "payment_intent": intent_id}}
    assert [one.id for one in client.v1.invoice_payments.list(by_intent).data] == [payment.id]
    assert client.v1.invoice_payments.retrieve(payment.id).status == "paid"
    assert client.v1.invoice_payments.list({"status": "open"}).data == []


async def test_what_leads_to_the_intent_is_expanded_four_levels_deep(
    unpaid: stripe.checkout.Session, client: stripe.StripeClient, base_url: str
) -> None:
    invoice_id = str(unpaid.invoice)
    listed = client.v1.invoice_payments.list(
        {"invoice": invoice_id, "expand": ["data.payment.payment_intent.payment_method"]}
    )
    intent: Any = listed.data[0].payment.payment_intent
    assert intent.payment_method.type == "us_bank_account"

    emitted = Emitted(base_url)
    invoice = emitted.get(
        f"/v1/invoices/{invoice_id}", "payments.data.payment.payment_intent", "confirmation_secret"
    )
    expanded = invoice["payments"]["data"][0]["payment"]["payment_intent"]
    assert expanded["id"] == intent.id
    assert invoice["confirmation_secret"]["client_secret"] == expanded["client_secret"]
    session = emitted.get(
        f"/v1/checkout/sessions/{unpaid.id}",
        "subscription.latest_invoice.payments",
        "subscription.default_payment_method",
    )
    method = session["subscription"]["default_payment_method"]
    assert method["type"] == "us_bank_account"
    assert session["subscription"]["latest_invoice"]["payments"]["data"][0]["id"]
    with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
        client.v1.checkout.sessions.retrieve(
            unpaid.id, {"expand": ["invoice.payments.data.payment.payment_intent"]}
        )


async def test_a_setup_by_bank_debit_is_expanded_with_its_method(
    shop: Shop, control: Control, base_url: str
) -> None:
    session = shop.session(
        mode="setup", currency="usd", allowed_payment_method_types=["us_bank_account"]
    )
    await control.post(f"/sessions/{session.id}/pay", method="bank_debit")
    done = Emitted(base_url).get(
        f"/v1/checkout/sessions/{session.id}", "setup_intent.payment_method"
    )
    assert done["setup_intent"]["payment_method"]["type"] == "us_bank_account"
