"""Keys, parameters, errors and idempotency, as the SDK sees them."""

import asyncio
from typing import Any

import httpx
import pytest
import stripe

from .conftest import API_KEY, Control, Inbox, Shop
from .sdk_schema import validate


def post(base_url: str, path: str, body: str, **headers: str) -> httpx.Response:
    return httpx.post(
        base_url + path,
        content=body,
        headers={
            "Authorization": f"Bearer {API_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
            **headers,
        },
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("sk_test_another0123456789", "Invalid API Key provided: sk_test_"),
        ("sk_live_0123456789abcdef", "takes test keys only"),
    ],
)
def test_a_wrong_key_is_refused(key: str, message: str, base_url: str, control: Control) -> None:
    assert control is not None
    client = stripe.StripeClient(key, base_addresses={"api": base_url})
    with pytest.raises(stripe.AuthenticationError, match=message):
        client.v1.products.list()


def test_a_missing_key_is_explained(base_url: str) -> None:
    answer = httpx.get(f"{base_url}/v1/products")
    assert answer.status_code == 401
    assert "You did not provide an API key" in answer.json()["error"]["message"]


def test_curl_may_send_the_key_as_a_user_name(base_url: str) -> None:
    assert httpx.get(f"{base_url}/v1/products", auth=(API_KEY, "")).status_code == 200


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"name": "x", "colour": "red"}, "parameter_unknown", "colour"),
        ({}, "parameter_missing", "name"),
        ({"name": ""}, "parameter_invalid_empty", "name"),
        ({"name": "x", "package_dimensions": {"height": 1, "depth": 2}}, "parameter_unknown",
         "package_dimensions[depth]"),
        ({"name": "x", "default_price_data": {"currency": "usd", "unit_amount": "ten"}},
         "parameter_invalid_integer", "default_price_data[unit_amount]"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_as_stripe_refuses_them(
    params: Any,
    code: str,
    param: str,
    client: stripe.StripeClient,
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.products.create(params)
    assert (refused.value.http_status, refused.value.code) == (400, code)
    assert refused.value.param == param
    assert refused.value.request_id


def test_a_wrong_choice_names_the_right_ones(shop: Shop) -> None:
    with pytest.raises(
        stripe.InvalidRequestError,
        match="Invalid mode: must be one of payment, setup, or subscription",
    ):
        shop.session(mode="gift")


def test_what_does_not_exist_is_404_by_url_and_400_by_parameter(
    client: stripe.StripeClient, shop: Shop
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=r"No such checkout\.session") as missing:
        client.v1.checkout.sessions.retrieve("cs_test_none")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        shop.session(line_items=[{"price": "price_none", "quantity": 1}])
    assert (missing.value.http_status, missing.value.code) == (400, "resource_missing")
    assert missing.value.param == "line_items[0][price]"


def test_an_unknown_url_is_named(base_url: str) -> None:
    answer = post(base_url, "/v1/gifts", "")
    assert answer.status_code == 404
    assert "Unrecognized request URL (POST: /v1/gifts)" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["gifts", "metadata", "line_items.gifts", "payment_intent.a.b.c.d"]
)
def test_what_cannot_be_expanded_is_refused(
    path: str, shop: Shop, client: stripe.StripeClient
) -> None:
    session = shop.session()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.retrieve(session.id, {"expand": [path]})
    assert refused.value.param == "expand"


@pytest.mark.parametrize(
    "form",
    [
        "line_items[0][price]={p}&line_items[0][quantity]=2&expand[0]=line_items",
        "line_items[][quantity]=2&line_items[][price]={p}&expand[]=line_items",
        "line_items%5B0%5D%5Bquantity%5D=2&expand%5B%5D=line_items&line_items%5B0%5D%5Bprice%5D={p}",
    ],
)
def test_lists_are_read_in_every_shape_that_clients_send(
    form: str, base_url: str, shop: Shop
) -> None:
    answer = post(
        base_url,
        "/v1/checkout/sessions",
        form.format(p=shop.price()) + "&mode=payment&success_url=https%3A%2F%2Fexample.com",
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["line_items"]["data"][0]["quantity"] == 2


def test_two_list_elements_without_index_stay_two(base_url: str, shop: Shop) -> None:
    one, two = shop.price(100), shop.price(200)
    answer = post(
        base_url,
        "/v1/checkout/sessions",
        f"line_items[][price]={one}&line_items[][quantity]=1&line_items[][price]={two}"
        "&line_items[][quantity]=3&mode=payment&success_url=https://example.com",
    )
    assert answer.json()["amount_total"] == 700


@pytest.mark.parametrize("body", ["a[=1", "a[b]=1&a=2", "a=1&a[b]=2", "[x]=1", "a]b[=1"])
def test_malformed_forms_are_refused(body: str, base_url: str) -> None:
    answer = post(base_url, "/v1/products", f"name=x&{body}")
    assert answer.status_code == 400


def test_metadata_may_have_number_keys_and_an_empty_value_drops_a_key(
    client: stripe.StripeClient,
) -> None:
    product = client.v1.products.create({"name": "x", "metadata": {"0": "zero", "1": "one"}})
    assert product.metadata.to_dict() == {"0": "zero", "1": "one"}
    changed = client.v1.products.update(product.id, {"metadata": {"0": "", "2": "two"}})
    assert changed.metadata.to_dict() == {"1": "one", "2": "two"}


def test_a_client_without_the_version_may_use_the_older_parameter_name(
    base_url: str, shop: Shop
) -> None:
    body = (
        f"line_items[0][price]={shop.price()}&line_items[0][quantity]=1&mode=payment"
        "&success_url=https://example.com&payment_method_types[]=card"
    )
    answer = post(base_url, "/v1/checkout/sessions", body)
    assert answer.json()["payment_method_types"] == ["card"]
    refused = post(
        base_url, "/v1/checkout/sessions", body, **{"Stripe-Version": "2026-10-28.endive"}
    )
    assert refused.json()["error"]["code"] == "parameter_unknown"


def test_an_idempotency_key_gives_the_same_answer_and_does_the_work_once(
    client: stripe.StripeClient,
) -> None:
    first = client.v1.products.create({"name": "x"}, {"idempotency_key": "k1"})
    again = client.v1.products.create({"name": "x"}, {"idempotency_key": "k1"})
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    created = client.v1.events.list({"type": "product.created"}).data
    assert [event.data.object["id"] for event in created] == [first.id]
    assert created[0].request is not None
    assert created[0].request.idempotency_key == "k1"


def test_an_idempotency_key_with_other_parameters_is_refused(client: stripe.StripeClient) -> None:
    client.v1.products.create({"name": "x"}, {"idempotency_key": "k2"})
    with pytest.raises(stripe.IdempotencyError, match="k2"):
        client.v1.products.create({"name": "y"}, {"idempotency_key": "k2"})


def test_an_idempotency_key_belongs_to_one_endpoint_and_is_not_too_long(
    client: stripe.StripeClient,
) -> None:
    client.v1.products.create({"name": "x"}, {"idempotency_key": "k7"})
    with pytest.raises(stripe.IdempotencyError, match="/v1/customers' vs '/v1/products'"):
        client.v1.customers.create({"name": "x"}, {"idempotency_key": "k7"})
    assert client.v1.products.create({"name": "x"}, {"idempotency_key": "k" * 255}).id
    with pytest.raises(stripe.IdempotencyError, match="255"):
        client.v1.products.create({"name": "x"}, {"idempotency_key": "k" * 256})


def test_the_same_parameters_in_another_order_are_the_same_request(
    base_url: str, control: Control
) -> None:
    assert control is not None
    headers = {"Idempotency-Key": "k8"}
    bodies = ("name=x&images[]=a&images[]=b", "images[]=a&images[]=b&name=x")
    first, second = [post(base_url, "/v1/products", body, **headers) for body in bodies]
    assert first.json()["id"] == second.json()["id"]
    other = post(base_url, "/v1/products", "name=x&images[]=b&images[]=a", **headers)
    assert other.json()["error"]["type"] == "idempotency_error"


def test_a_failed_execution_is_kept_under_its_key_but_a_failed_validation_is_not(
    client: stripe.StripeClient,
) -> None:
    wrong: Any = {}
    with pytest.raises(stripe.InvalidRequestError, match="Missing required param"):
        client.v1.products.create(wrong, {"idempotency_key": "k3"})
    assert client.v1.products.create({"name": "x"}, {"idempotency_key": "k3"}).name == "x"

    params: Any = {"product": "prod_later", "currency": "usd", "unit_amount": 1}
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        client.v1.prices.create(params, {"idempotency_key": "k4"})
    client.v1.products.create({"id": "prod_later", "name": "x"})
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        client.v1.prices.create(params, {"idempotency_key": "k4"})


async def test_a_key_in_use_is_a_conflict(base_url: str, control: Control) -> None:
    await control.post("/faults", path="/v1/products", status=None, delay_ms=300, count=1)
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "k5"}

    async with httpx.AsyncClient(base_url=base_url, headers=headers) as http:
        slow = asyncio.create_task(http.post("/v1/products", data={"name": "x"}))
        await asyncio.sleep(0.1)
        second = await http.post("/v1/products", data={"name": "x"})
        assert second.status_code == 409
        assert second.json()["error"]["code"] == "idempotency_key_in_use"
        assert (await slow).status_code == 200


async def test_injected_faults_hit_so_many_matching_calls(
    client: stripe.StripeClient, control: Control
) -> None:
    await control.post("/faults", path="/v1/products", method="GET", status=429, count=2)
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            client.v1.products.list()
    assert client.v1.products.create({"name": "x"}).id
    assert client.v1.products.list().data


async def test_a_fault_says_in_its_headers_what_stripe_would(
    client: stripe.StripeClient, control: Control
) -> None:
    busy = {"status": 429, "headers": {"Retry-After": "7", "Stripe-Should-Retry": "false"}}
    made = await control.post("/faults", path="/v1/products", count=1, **busy)
    assert made["headers"] == busy["headers"]
    with pytest.raises(stripe.RateLimitError) as refused:
        client.v1.products.list()
    headers = {name.lower(): value for name, value in dict(refused.value.headers or {}).items()}
    assert (headers["retry-after"], headers["stripe-should-retry"]) == ("7", "false")
    refused_headers: list[object] = [[], {"Retry-After": 2}, {"A": "b\r\nc: d"}]
    for wrong in refused_headers:
        answer = await control.http.post("/_emulator/faults", json={"headers": wrong})
        assert answer.status_code == 400


async def test_a_fault_before_execution_frees_the_idempotency_key(
    client: stripe.StripeClient, control: Control
) -> None:
    await control.post("/faults", path="/v1/products", status=500, count=1)
    with pytest.raises(stripe.APIError):
        client.v1.products.create({"name": "x"}, {"idempotency_key": "k6"})
    assert client.v1.products.create({"name": "x"}, {"idempotency_key": "k6"}).name == "x"


async def test_faults_can_be_cleared_and_latency_applies_to_every_call(
    client: stripe.StripeClient, control: Control
) -> None:
    await control.post("/faults", path=".*", status=None, delay_ms=80, count=None)
    started = asyncio.get_running_loop().time()
    for _ in range(3):
        client.v1.products.list()
    assert asyncio.get_running_loop().time() - started >= 0.24
    cleared = await control.http.delete("/_emulator/faults")
    assert cleared.json() == {"cleared": 1}
    assert (await control.http.get("/_emulator/faults")).json() == {"data": []}


def test_a_connected_account_has_its_own_objects(
    client: stripe.StripeClient,
) -> None:
    product = client.v1.products.create({"name": "x"}, {"stripe_account": "acct_other"})
    own = client.v1.products.retrieve(product.id, options={"stripe_account": "acct_other"})
    assert own.name == "x"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.products.retrieve(product.id)


def test_connected_accounts_are_those_that_were_named(
    client: stripe.StripeClient, base_url: str
) -> None:
    assert client.v1.accounts.list().data == []
    named = [f"acct_seller{n:02}" for n in range(12)]
    for account in named:
        client.v1.products.create({"name": "x"}, {"stripe_account": account})
    listed = [one.id for one in client.v1.accounts.list({"limit": 5}).auto_paging_iter()]
    assert listed == named[::-1]
    assert list(client.v1.accounts.list({}, {"stripe_account": named[0]}).data) == []

    own = client.v1.accounts.retrieve_current()
    assert own.id not in listed
    assert client.v1.accounts.retrieve(own.id).id == own.id
    assert client.v1.accounts.retrieve(named[0]).id == named[0]
    current = client.v1.accounts.retrieve_current({}, {"stripe_account": named[0]})
    assert current.id == named[0]
    for account in (own.id, named[0]):
        path = f"{base_url}/v1/accounts/{account}"
        validate(httpx.get(path, auth=(API_KEY, "")).json())
    with pytest.raises(stripe.PermissionError) as refused:
        client.v1.accounts.retrieve("acct_unknown")
    assert refused.value.error is not None
    assert refused.value.error.code == "account_invalid"


async def test_a_connected_account_sells(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    at_seller: Any = {"stripe_account": "acct_seller"}
    endpoint = client.v1.webhook_endpoints.create(
        {"url": inbox.url, "enabled_events": ["checkout.session.completed"], "connect": True}
    )
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 500, "product_data": {"name": "x"}}, at_seller
    )
    items: Any = [{"price": price.id, "quantity": 1}]
    bought = await control.post("/purchases", count=2, line_items=items, account="acct_seller")
    session = client.v1.checkout.sessions.create(
        {"mode": "payment", "line_items": items, "success_url": "https://example.com"}, at_seller
    )
    await control.post(f"/sessions/{session.id}/pay")
    for session_id in (*bought["sessions"], session.id):
        paid = client.v1.checkout.sessions.retrieve(session_id, {}, at_seller)
        assert paid.payment_status == "paid"
    received = await inbox.wait_for_any(count=3)
    assert {one.event(str(endpoint.secret)).account for one in received} == {"acct_seller"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.retrieve(session.id)


def test_pages_go_forward_and_back_from_a_cursor(client: stripe.StripeClient) -> None:
    oldest_first = [client.v1.customers.create({"name": str(n)}).id for n in range(6)]
    newest_first = oldest_first[::-1]

    forward = client.v1.customers.list({"limit": 2, "starting_after": newest_first[1]})
    assert [one.id for one in forward.data] == newest_first[2:4]
    assert forward.has_more
    back = client.v1.customers.list({"limit": 2, "ending_before": newest_first[4]})
    assert [one.id for one in back.data] == newest_first[2:4]
    assert back.has_more
    last = client.v1.customers.list({"limit": 2, "starting_after": newest_first[3]})
    assert not last.has_more
    pages = client.v1.customers.list({"limit": 2})
    assert [one.id for one in pages.auto_paging_iter()] == newest_first
    pages = client.v1.customers.list({"limit": 2, "ending_before": newest_first[-1]})
    assert [one.id for one in pages.auto_paging_iter()] == oldest_first[1:]
    for wrong in ({"limit": 0}, {"limit": 101}, {"starting_after": "cus_none"}):
        params: Any = wrong
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.customers.list(params)
