"""What Stripe refuses is refused, with Stripe's codes: so that no surprise waits at Stripe."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe

from .conftest import API_KEY, Control, Shop

Create = Callable[[stripe.StripeClient, Shop], object]


def price(client: stripe.StripeClient, **params: Any) -> object:
    everything: Any = {"currency": "usd", "product_data": {"name": "x"}, **params}
    return client.v1.prices.create(everything)


def product(client: stripe.StripeClient, metadata: dict[str, str]) -> object:
    return client.v1.products.create({"name": "x", "metadata": metadata})


def cheap(shop: Shop, amount: int, currency: str) -> list[dict[str, object]]:
    return [{"price": shop.price(amount, currency), "quantity": 1}]


@pytest.mark.parametrize(
    ("create", "code", "param", "message"),
    [
        (lambda c, _: product(c, {f"{n}": "x" for n in range(51)}), None, "metadata", "50 keys"),
        (lambda c, _: product(c, {"k" * 41: "x"}), None, "metadata", "40 characters"),
        (lambda c, _: product(c, {"k": "x" * 501}), None, "metadata", "500 characters"),
        (lambda _, s: s.session(payment_intent_data={"metadata": {"k": "x" * 501}}), None,
         "payment_intent_data[metadata]", "500 characters"),
        (lambda c, _: c.v1.products.create({"name": "x", "metadata": {"a": {"b": "c"}}}), None,
         "metadata[a]", "Invalid string"),
        (lambda c, _: price(c, currency="xxx", unit_amount=1), None, "currency",
         "Invalid currency: xxx"),
        (lambda c, _: price(c, unit_amount=-1), "parameter_invalid_integer", "unit_amount",
         "non-negative"),
        (lambda c, _: price(c, unit_amount=1, unit_amount_decimal="1"), None, None,
         "only specify one of these parameters: unit_amount"),
        (lambda _, s: s.session(customer_email="jenny"), "email_invalid", "customer_email",
         "Invalid email address: jenny"),
        (lambda c, s: s.session(customer=c.v1.customers.create({}).id, customer_email="a@b.co"),
         None, None, "only specify one of these parameters: customer, customer_email"),
        (lambda _, s: s.session(client_reference_id="x" * 201), None, "client_reference_id",
         "at most 200"),
        (lambda _, s: s.session(line_items=cheap(s, 49, "usd")), "amount_too_small", None,
         r"at least \$0.50 usd"),
        (lambda _, s: s.session(line_items=cheap(s, 49, "jpy")), "amount_too_small", None,
         "at least ¥50 jpy"),
        (lambda c, _: c.v1.payment_intents.create({"amount": 49, "currency": "usd"}),
         "amount_too_small", "amount", "at least"),
        (lambda c, _: c.v1.customers.create({"email": "jenny"}), "email_invalid", "email", "jenny"),
        (lambda c, _: c.v1.coupons.create({"percent_off": 101, "duration": "once"}), None,
         "percent_off", "less than or equal to 100"),
        (lambda c, _: c.v1.products.list({"limit": 101}), "parameter_invalid_integer", "limit",
         "less than or equal to 100"),
        (lambda c, _: c.v1.products.list({"starting_after": "a", "ending_before": "b"}), None,
         None, "only specify one"),
        (lambda c, _: c.v1.events.list({"type": "a.b", "types": ["a.b"]}), None, None,
         "only specify one"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused(
    *,
    create: Create,
    code: str | None,
    param: str | None,
    message: str,
    client: stripe.StripeClient,
    shop: Shop,
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        create(client, shop)
    assert (refused.value.http_status, refused.value.code) == (400, code)
    assert refused.value.param == param


def test_the_smallest_amounts_and_longest_texts_are_taken(
    client: stripe.StripeClient, shop: Shop
) -> None:
    for amount, currency in ((50, "usd"), (50, "jpy"), (30, "gbp"), (0, "usd")):
        assert shop.session(line_items=cheap(shop, amount, currency)).amount_total == amount
    full = {f"{n}".rjust(40, "k"): "x" * 500 for n in range(50)}
    made = client.v1.products.create({"name": "x", "metadata": full})
    assert made.metadata.to_dict() == full
    assert shop.session(client_reference_id="x" * 200).client_reference_id == "x" * 200


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("checkout/sessions/cs_test_none", "session"),
        ("payment_intents/pi_none", "intent"),
        ("prices/price_none", "price"),
        ("products/prod_none", "id"),
        ("customers/cus_none", "id"),
        ("customers/cus_none/payment_methods", "id"),
        ("subscriptions/sub_none", "id"),
        ("setup_intents/seti_none", "intent"),
        ("events/evt_none", "id"),
        ("payment_links/plink_none", "payment_link"),
        ("payment_links/plink_none/line_items", "payment_link"),
    ],
)
def test_an_unknown_id_in_a_url_is_404_and_named(path: str, param: str, base_url: str) -> None:
    answer = httpx.get(f"{base_url}/v1/{path}", auth=(API_KEY, ""))
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("resource_missing", param)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/products"), ("PATCH", "/v1/products"), ("GET", "/v2/x")]
)
def test_what_is_no_operation_is_answered_as_stripe_does(
    method: str, path: str, base_url: str
) -> None:
    answer = httpx.request(method, base_url + path, auth=(API_KEY, ""))
    assert answer.status_code == 404
    assert f"({method}: {path})" in answer.json()["error"]["message"]


def test_json_is_refused_by_its_content_type(base_url: str) -> None:
    answer = httpx.post(f"{base_url}/v1/products", auth=(API_KEY, ""), json={"name": "x"})
    assert answer.status_code == 400
    assert "check that your POST content type" in answer.json()["error"]["message"]


def test_a_publishable_key_is_told_apart(base_url: str) -> None:
    answer = httpx.get(f"{base_url}/v1/products", auth=("pk_test_0123456789abc", ""))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "secret_key_required")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_error_never_shows_a_short_key(base_url: str) -> None:
    answer = httpx.get(f"{base_url}/v1/products", auth=("secret", ""))
    assert answer.json()["error"]["message"] == "Invalid API Key provided: ******"


def test_what_has_succeeded_cannot_be_confirmed_again(client: stripe.StripeClient) -> None:
    paid = client.v1.payment_intents.create(
        {
            "amount": 1000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "allowed_payment_method_types": ["card"],
            "confirm": True,
        }
    )
    for again in (client.v1.payment_intents.confirm, client.v1.payment_intents.capture):
        with pytest.raises(stripe.InvalidRequestError, match="already succeeded") as refused:
            again(paid.id)
        assert refused.value.code == "payment_intent_unexpected_state"
    client.v1.refunds.create({"payment_intent": paid.id, "amount": 400})
    for amount, message in ((601, "greater than unrefunded amount"), (0, "positive integer")):
        with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
            client.v1.refunds.create({"payment_intent": paid.id, "amount": amount})
        assert refused.value.param == "amount"
    client.v1.refunds.create({"payment_intent": paid.id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": paid.id})
    assert refused.value.code == "charge_already_refunded"


async def test_wrong_url_parameters_of_a_payment_link_are_passed_over(
    client: stripe.StripeClient, shop: Shop, control: Control
) -> None:
    link = client.v1.payment_links.create({"line_items": [{"price": shop.price(), "quantity": 1}]})
    for query, wanted in (
        (
            "?prefilled_email=jenny&client_reference_id=a%20b&prefilled_promo_code=none",
            (None, None),
        ),
        ("?prefilled_email=a%40b.co&client_reference_id=cart-7", ("a@b.co", "cart-7")),
    ):
        visit = await control.http.get(link.url + query)
        assert visit.status_code == 303
        session_id = visit.headers["location"].rpartition("/")[2]
        session = client.v1.checkout.sessions.retrieve(session_id)
        assert (session.customer_email, session.client_reference_id) == wanted


async def test_a_payment_link_over_a_retired_price_says_so(
    client: stripe.StripeClient, shop: Shop, control: Control
) -> None:
    price_id = shop.price()
    link = client.v1.payment_links.create({"line_items": [{"price": price_id, "quantity": 1}]})
    client.v1.prices.update(price_id, {"active": False})
    visit = await control.http.get(link.url)
    assert visit.status_code == 400
    assert "The price specified is inactive" in visit.text


async def test_what_is_charged_back_cannot_be_refunded(
    client: stripe.StripeClient, shop: Shop, control: Control
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay")
    paid = client.v1.checkout.sessions.retrieve(session.id)
    intent = str(paid.payment_intent)
    client.v1.refunds.create({"payment_intent": intent, "amount": 500})
    left = int(paid.amount_total or 0) - 500
    too_much = await control.http.post(
        f"/_emulator/sessions/{session.id}/dispute", json={"amount": left + 1}
    )
    assert too_much.status_code == 400
    opened = await control.post(f"/sessions/{session.id}/dispute", amount=300)
    dispute = client.v1.disputes.retrieve(opened["dispute"]["id"])
    assert (dispute.amount, dispute.is_charge_refundable) == (300, False)
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back") as refusal:
        client.v1.refunds.create({"payment_intent": intent})
    assert refusal.value.code == "charge_disputed"
    await control.post(f"/disputes/{dispute.id}/close", won=True)
    assert client.v1.refunds.create({"payment_intent": intent}).amount == left


async def test_what_is_only_inquired_about_can_be_refunded(
    client: stripe.StripeClient, shop: Shop, control: Control
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay")
    opened = await control.post(f"/sessions/{session.id}/dispute", inquiry=True)
    intent = opened["dispute"]["payment_intent"]
    assert client.v1.refunds.create({"payment_intent": intent}).status == "succeeded"


@pytest.mark.parametrize("amount", ["500", "abc", [1], 1.5, True, 0, -1])
@pytest.mark.parametrize("what", ["refund", "dispute"])
async def test_an_amount_that_is_none_is_refused(
    shop: Shop, control: Control, what: str, amount: object
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay")
    url = f"/_emulator/sessions/{session.id}/{what}"
    answer = await control.http.post(url, json={"amount": amount})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "amount")


@pytest.mark.parametrize("won", [True, False])
async def test_what_was_decided_is_refundable_only_where_it_was_won(
    shop: Shop, control: Control, *, won: bool
) -> None:
    session = shop.session()
    await control.post(f"/sessions/{session.id}/pay")
    opened = await control.post(f"/sessions/{session.id}/dispute")
    await control.post(f"/disputes/{opened['dispute']['id']}/close", won=won)
    answer = await control.http.post(f"/_emulator/sessions/{session.id}/refund", json={})
    assert answer.status_code == (200 if won else 400)
