"""`GET /orders/{session_id}` and the probes."""

from collections.abc import AsyncIterator

from api.bodies import MAX_BODY_BYTES
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import OPERATOR_TOKEN, World

BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def test_an_order_is_told_to_who_knows_the_token(world: World) -> None:
    sku = await world.new_sku()
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(sku), client_reference_id="cart-7")
        await world.result(session_id)
    answer = await world.api.get(f"/orders/{session_id}", headers=BEARER)
    assert answer.status_code == 200
    order = answer.json()
    assert order["session_id"] == session_id
    assert order["state"] == "fulfilled"
    assert order["payment_status"] == "paid"
    assert order["total"] == {"amount_minor": 3998, "currency": "usd"}
    assert order["customer_email"] == "jo@example.com"
    assert order["client_reference_id"] == "cart-7"
    assert order["shipping_address"]["postal_code"] == "62701"
    assert [
        (item["kind"], item["state"]) for line in order["lines"] for item in line["fulfillments"]
    ] == [("access", "fulfilled"), ("shipment", "fulfilled")]


async def test_without_the_token_nothing_is_told(world: World) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        answer = await world.api.get("/orders/cs_test_anything", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_unknown_order_is_not_found(world: World) -> None:
    answer = await world.api.get("/orders/cs_test_unknown12345", headers=BEARER)
    assert answer.status_code == 404


async def test_what_is_no_session_id_is_not_found(world: World) -> None:
    answer = await world.api.get("/orders/a%00b", headers=BEARER)
    assert answer.status_code == 404


async def test_probes_answer(world: World) -> None:
    assert (await world.api.get("/healthz")).json() == {"status": "ok"}
    assert (await world.api.get("/readyz")).json() == {"status": "ok"}


async def test_the_api_documentation_needs_no_other_host(world: World) -> None:
    page = (await world.api.get("/docs")).text
    assert "https://" not in page
    assert (await world.api.get("/static-offline-docs/swagger-ui-bundle.js")).status_code == 200


async def test_no_answer_is_kept_or_guessed_at(world: World) -> None:
    for path in ("/orders/cs_test_a1b2c3d4e5f6g7h8", "/healthz", "/no/such/page"):
        answer = await world.api.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    style = await world.api.get("/static/page.css")
    assert (style.status_code, "Cache-Control" in style.headers) == (200, False)


async def test_no_body_is_larger_than_anybody_needs(world: World) -> None:
    too_much = b'{"key": "' + b"x" * MAX_BODY_BYTES + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        yield too_much

    for body in (too_much, chunks()):
        answer = await world.api.post(
            "/licenses/validate", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
