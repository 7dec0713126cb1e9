"""What answers hold only when it is asked for, and never anything of the emulator's own."""

from collections.abc import Iterator
from typing import Any

import httpx
import stripe

from .conftest import API_KEY, Control, Shop
from .sdk_schema import nested_objects, validate


def retrieve(base_url: str, session_id: str, *paths: str) -> dict[str, Any]:
    answer = httpx.get(
        f"{base_url}/v1/checkout/sessions/{session_id}",
        params={"expand[]": list(paths)},
        auth=(API_KEY, ""),
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def discounted(shop: Shop, client: stripe.StripeClient) -> stripe.checkout.Session:
    """Two items, one with its tax in the price, with 25 % off both."""
    coupon = client.v1.coupons.create({"percent_off": 25, "duration": "once"})
    code = client.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SPRING"}
    )
    return shop.session(
        automatic_tax={"enabled": True},
        discounts=[{"promotion_code": code.id}],
        line_items=[
            {
                "price_data": {
                    "currency": "usd",
                    "unit_amount": amount,
                    "tax_behavior": behavior,
                    "product_data": {"name": behavior},
                },
                "quantity": 1,
            }
            for amount, behavior in ((2000, "exclusive"), (4400, "inclusive"))
        ],
    )


def test_the_breakdown_of_a_total_adds_up(
    shop: Shop, client: stripe.StripeClient, base_url: str
) -> None:
    session = discounted(shop, client)
    body = retrieve(
        base_url,
        session.id,
        "total_details.breakdown",
        "line_items.data.discounts",
        "line_items.data.taxes",
    )
    for obj in nested_objects(body):
        validate(obj)
    details = body["total_details"]
    breakdown = details["breakdown"]
    assert [d["amount"] for d in breakdown["discounts"]] == [details["amount_discount"]] == [1600]
    taxes = {tax["rate"]["inclusive"]: tax for tax in breakdown["taxes"]}
    assert (taxes[False]["amount"], taxes[False]["taxable_amount"]) == (150, 1500)
    assert (taxes[True]["amount"], taxes[True]["taxable_amount"]) == (300, 3000)
    assert details["amount_tax"] == 450
    for item in body["line_items"]["data"]:
        assert [d["amount"] for d in item["discounts"]] == [item["amount_discount"]]
        assert [t["amount"] for t in item["taxes"]] == [item["amount_tax"]]
        assert item["discounts"][0]["discount"]["promotion_code"].startswith("promo_")


def test_the_sdk_reads_the_breakdown(shop: Shop, client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.retrieve(
        discounted(shop, client).id, {"expand": ["total_details.breakdown"]}
    )
    assert session.total_details is not None
    assert session.total_details.breakdown is not None
    assert session.total_details.breakdown.discounts[0].discount.source.type == "coupon"


def test_a_list_of_line_items_expands_too(shop: Shop, client: stripe.StripeClient) -> None:
    items = client.v1.checkout.sessions.line_items.list(
        discounted(shop, client).id, {"expand": ["data.taxes", "data.price.product"]}
    ).data
    assert [len(item.taxes or ()) for item in items] == [1, 1]
    assert ["discounts" in item for item in items] == [False, False]


async def test_nothing_of_the_emulators_own_is_answered(
    shop: Shop, control: Control, base_url: str
) -> None:
    session = shop.session(metadata={"_mine": "kept", "object": "x"})
    await control.post(f"/sessions/{session.id}/pay")
    body = retrieve(
        base_url,
        session.id,
        "line_items",
        "line_items.data.price.product",
        "line_items.data.taxes",
        "payment_intent.payment_method",
        "payment_intent.latest_charge.balance_transaction",
    )
    assert [key for key in keys(body) if key.startswith("_")] == ["_mine"]
    assert body["metadata"] == {"_mine": "kept", "object": "x"}
    assert body["payment_intent"]["payment_method"]["object"] == "payment_method"


async def test_a_saved_payment_method_and_a_setup_are_retrieved(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    customer = client.v1.customers.create({"email": "jenny@example.com"})
    session = shop.session(mode="setup", currency="usd", customer=customer.id)
    await control.post(f"/sessions/{session.id}/pay")
    done = client.v1.checkout.sessions.retrieve(session.id)
    assert isinstance(done.setup_intent, str)
    setup = client.v1.setup_intents.retrieve(done.setup_intent, {"expand": ["payment_method"]})
    assert setup.status == "succeeded"
    assert isinstance(setup.payment_method, stripe.PaymentMethod)
    [saved] = client.v1.customers.payment_methods.list(customer.id, {"type": "card"}).data
    assert saved.id == setup.payment_method.id
    assert client.v1.customers.payment_methods.list(customer.id, {"type": "sepa_debit"}).data == []
