"""Every object that the emulator emits fits the pinned SDK's own annotations."""

from collections.abc import Callable
from typing import Any

import httpx
import jsonschema
import pytest
import stripe

from .conftest import API_KEY, Control, Shop
from .sdk_schema import nested_objects, validate

ADDRESS = {"line1": "1 Main St", "city": "Springfield", "country": "US", "postal_code": "12345"}


class Emitted:
    """All objects that the API answers with, in lists, single and expanded."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def get(self, path: str, *expand: str, **params: str) -> dict[str, Any]:
        response = httpx.get(
            self._base_url + path,
            params={"expand[]": list(expand), **params},
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


def check_all(base_url: str, *paths: str) -> set[str]:
    """Validate everything below these lists and in all events; answers the event types."""
    emitted = Emitted(base_url)
    for path in paths:
        listed = emitted.get(f"/v1/{path}", limit="100")["data"]
        assert listed, f"nothing to validate at {path}"
        for obj in listed:
            validate(obj)
    types = set()
    for event in emitted.get("/v1/events", limit="100")["data"]:
        validate({**event, "data": {"object": {}}})
        for obj in nested_objects(event["data"]["object"]):
            validate(obj)
        types.add(event["type"])
    return types


def test_the_schema_refuses_what_the_sdk_does_not_know(shop: Shop, base_url: str) -> None:
    session = Emitted(base_url).get(f"/v1/checkout/sessions/{shop.session().id}")
    validate(session)
    for wrong in (
        {"shipping_details": None},
        {"status": "finished"},
        {"amount_total": "2000"},
        {"expires_at": None},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validate(session | wrong)


async def test_what_a_card_payment_leaves_behind_fits(
    shop: Shop, base_url: str, control: Control, client: stripe.StripeClient
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 25, "duration": "once"})
    code = client.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SPRING"}
    )
    session = shop.session(
        automatic_tax={"enabled": True},
        billing_address_collection="required",
        consent_collection={"terms_of_service": "required"},
        custom_fields=[
            {
                "key": "size",
                "label": {"type": "custom", "custom": "Size"},
                "type": "dropdown",
                "dropdown": {"options": [{"label": "Small", "value": "s"}]},
            },
            {
                "key": "engraving",
                "label": {"type": "custom", "custom": "Engraving"},
                "type": "text",
                "optional": True,
            },
        ],
        custom_text={"submit": {"message": "Thank you"}},
        customer_creation="always",
        discounts=[{"promotion_code": code.id}],
        locale="de",
        optional_items=[{"price": shop.price(300), "quantity": 1}],
        payment_intent_data={"metadata": {"a": "b"}},
        phone_number_collection={"enabled": True},
        shipping_address_collection={"allowed_countries": ["US"]},
        shipping_options=[
            {
                "shipping_rate_data": {
                    "display_name": "Post",
                    "type": "fixed_amount",
                    "fixed_amount": {"amount": 500, "currency": "usd"},
                }
            }
        ],
    )
    validate(Emitted(base_url).get(f"/v1/checkout/sessions/{session.id}"))
    await control.post(
        f"/sessions/{session.id}/pay", address=ADDRESS, phone="+1555", custom_fields={"size": "s"}
    )
    expanded = Emitted(base_url).get(
        f"/v1/checkout/sessions/{session.id}",
        "line_items.data.price.product",
        "payment_intent.latest_charge.balance_transaction",
        "payment_intent.payment_method",
        "customer",
        "discounts.promotion_code",
        "shipping_cost.shipping_rate",
    )
    validate(expanded)
    kinds = {obj["object"] for obj in nested_objects(expanded)}
    assert kinds >= {
        "balance_transaction", "charge", "customer", "item", "payment_intent",
        "payment_method", "price", "product", "promotion_code", "shipping_rate",
    }  # fmt: skip
    types = check_all(
        base_url, "products", "prices", "checkout/sessions", "payment_intents", "charges",
        "customers", "coupons", "promotion_codes", "shipping_rates", "balance_transactions",
        "payment_methods", "webhook_endpoints", "events",
    )  # fmt: skip
    assert types >= {"checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"}


@pytest.mark.parametrize(
    ("currency", "method"),
    [
        ("usd", "us_bank_account"),
        ("eur", "sepa_debit"),
        ("gbp", "bacs_debit"),
        ("aud", "au_becs_debit"),
        ("cad", "acss_debit"),
        ("jpy", "konbini"),
    ],
)
async def test_what_a_delayed_payment_leaves_behind_fits(
    currency: str, method: str, shop: Shop, base_url: str, control: Control
) -> None:
    for end in ("settle", "fail"):
        session = shop.session(line_items=[{"price": shop.price(currency=currency), "quantity": 1}])
        assert method in session.payment_method_types
        await control.post(f"/sessions/{session.id}/pay", method="bank_debit")
        await control.post(f"/sessions/{session.id}/{end}")
    types = check_all(
        base_url, "checkout/sessions", "payment_intents", "charges", "payment_methods"
    )
    assert types >= {
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "payment_intent.processing",
        "payment_intent.payment_failed",
        "charge.pending",
        "charge.failed",
    }


async def test_refunds_and_disputes_fit(shop: Shop, base_url: str, control: Control) -> None:
    sessions = [shop.session() for _ in range(4)]
    for session in sessions:
        await control.post(f"/sessions/{session.id}/pay")
    await control.post(f"/sessions/{sessions[0].id}/refund", amount=500)
    await control.post(f"/sessions/{sessions[0].id}/refund")
    pending = await control.post(f"/sessions/{sessions[1].id}/refund", outcome="pending")
    await control.post(f"/refunds/{pending['refund']['id']}/end", succeeded=False)
    for session, won in ((sessions[2], True), (sessions[3], False)):
        dispute = (await control.post(f"/sessions/{session.id}/dispute"))["dispute"]
        await control.post(f"/disputes/{dispute['id']}/close", won=won)
    types = check_all(base_url, "refunds", "disputes", "charges", "balance_transactions")
    assert types >= {
        "charge.refunded", "refund.created", "refund.updated", "refund.failed",
        "charge.dispute.created", "charge.dispute.closed", "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }  # fmt: skip


async def test_fraud_warnings_fit_and_end_with_the_refund(
    client: stripe.StripeClient, shop: Shop, base_url: str, control: Control
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay", number="4000000000005423")
    paid = client.v1.checkout.sessions.retrieve(session.id)
    warnings = client.v1.radar.early_fraud_warnings
    [warning] = warnings.list({"payment_intent": str(paid.payment_intent)}).data
    assert warnings.list({"charge": str(warning.charge)}).data == [warning]
    assert warnings.retrieve(warning.id).actionable
    await control.post(f"/sessions/{session.id}/refund")
    assert not warnings.retrieve(warning.id).actionable
    types = check_all(base_url, "radar/early_fraud_warnings")
    assert types >= {"radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"}


async def test_subscriptions_and_setups_fit(
    client: stripe.StripeClient, shop: Shop, base_url: str, control: Control
) -> None:
    price = client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 900,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Plan"},
        }
    )
    items = [{"price": price.id, "quantity": 1}]
    paid = shop.session(mode="subscription", line_items=items)
    trial = shop.session(
        mode="subscription", line_items=items, subscription_data={"trial_period_days": 14}
    )
    setup = shop.session(mode="setup", currency="usd")
    statuses = []
    for session in (paid, trial, setup):
        answer = await control.post(f"/sessions/{session.id}/pay")
        statuses.append(answer["session"]["payment_status"])
    assert statuses == ["paid", "no_payment_required", "no_payment_required"]
    check_all(base_url, "checkout/sessions", "subscriptions", "invoices", "setup_intents")
    expanded = Emitted(base_url).get(
        f"/v1/checkout/sessions/{paid.id}", "subscription.latest_invoice", "customer"
    )
    validate(expanded)


@pytest.mark.parametrize(
    "after",
    [
        None,
        {"type": "redirect", "redirect": {"url": "https://example.com/after"}},
        {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Thanks"}},
    ],
)
def test_payment_links_fit(
    after: Any,
    client: stripe.StripeClient,
    shop: Shop,
    base_url: str,
) -> None:
    params: Any = {
        "line_items": [{"price": shop.price(), "quantity": 1}],
        "custom_fields": [
            {
                "key": "note",
                "label": {"type": "custom", "custom": "Note"},
                "type": "text",
            }
        ],
        "payment_intent_data": {"metadata": {"a": "b"}},
        "restrictions": {"completed_sessions": {"limit": 3}},
        **({"after_completion": after} if after else {}),
    }
    link = client.v1.payment_links.create(params)
    validate(Emitted(base_url).get(f"/v1/payment_links/{link.id}", "line_items"))
    httpx.get(link.url, follow_redirects=True).raise_for_status()
    client.v1.payment_links.update(link.id, {"active": False})
    assert check_all(base_url, "payment_links", "checkout/sessions") >= {
        "payment_link.created", "payment_link.updated",
    }  # fmt: skip


def test_payment_intents_made_without_checkout_fit(
    client: stripe.StripeClient, base_url: str
) -> None:
    def intent(method: str, **params: Any) -> stripe.PaymentIntent:
        everything: Any = {
            "amount": 1500,
            "currency": "usd",
            "payment_method": method,
            "allowed_payment_method_types": ["card"],
            "confirm": True,
            **params,
        }
        return client.v1.payment_intents.create(everything)

    authorized = intent("pm_card_visa", capture_method="manual")
    client.v1.payment_intents.capture(authorized.id)
    waiting = intent("pm_card_threeDSecure2Required")
    client.v1.payment_intents.cancel(waiting.id)
    inquired = intent("pm_card_createDisputeInquiry")
    with pytest.raises(stripe.CardError):
        intent("pm_card_chargeDeclined")
    pending = intent("pm_card_pendingRefund")
    refund = client.v1.refunds.create({"payment_intent": pending.id})
    assert refund.status == "pending"
    client.v1.refunds.cancel(refund.id)
    [dispute] = client.v1.disputes.list({"payment_intent": inquired.id}).data
    assert dispute.status == "warning_needs_response"
    lost: Callable[..., stripe.Dispute] = client.v1.disputes.update
    assert lost(dispute.id, {"evidence": {"uncategorized_text": "losing_evidence"}}).status == (
        "warning_closed"
    )
    types = check_all(base_url, "payment_intents", "charges", "disputes", "refunds")
    assert types >= {
        "payment_intent.amount_capturable_updated", "payment_intent.canceled",
        "payment_intent.requires_action", "payment_intent.payment_failed",
        "charge.captured", "charge.dispute.created", "charge.dispute.closed",
    }  # fmt: skip
