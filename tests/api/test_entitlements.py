"""`GET /entitlements`: what the merchant's own application is told, and can verify by itself."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from api.app import create_app
from local.ports import free_port
from tests.harness.serving import serving
from tests.harness.world import APP_TOKEN, OPERATOR_TOKEN, World

BEARER = {"Authorization": f"Bearer {APP_TOKEN}"}
OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.fixture
def buyer() -> str:
    """A customer of this test's own."""
    return f"Jo-{uuid4().hex[:8]}@Example.com"


async def buy(world: World, email: str, feature: str, quantity: int = 1, **options: Any) -> str:
    """Buys access to a feature; a worker must run."""
    metadata = {
        "fulfillment": "access",
        "access_url": "https://learn.example.com/course",
        "access_feature": feature,
        "access_duration": "P1M",
    }
    price = await world.shop.price(metadata)
    session_id = await world.shop.checkout(price, quantity=quantity, **options)
    await world.shop.pay(session_id, email=email)
    await world.result(session_id)
    return session_id


async def check(
    world: World, query: dict[str, str], headers: dict[str, str] | None = None
) -> httpx.Response:
    """What the merchant's application asks."""
    return await world.api.get(
        "/entitlements", params=query, headers=BEARER if headers is None else headers
    )


async def features(world: World, **query: str) -> list[str]:
    answer = await check(world, query)
    assert answer.status_code == 200
    return [each["feature"] for each in answer.json()["entitlements"]]


async def verified(api_url: str, token: str) -> dict[str, Any]:
    """Verifies a token as the merchant's application does, with the keys that we publish."""
    keys = jwt.PyJWKClient(f"{api_url}/.well-known/jwks.json")
    key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["EdDSA"], issuer=api_url)
    return claims


async def tokens_stay_for_a_while() -> None:
    """Waits, at the end of a token's five minutes, for the next ones."""
    left_s = 300 - time.time() % 300
    if left_s < 10:
        await asyncio.sleep(left_s)


async def test_an_application_learns_what_a_customer_may_use_and_verifies_it(
    world: World, buyer: str
) -> None:
    async with world.worker():
        await buy(world, buyer, "course", quantity=3)
    answer = await check(world, {"email": buyer})
    assert answer.status_code == 200
    body = answer.json()
    [entitlement] = body["entitlements"]
    assert (entitlement["feature"], entitlement["quantity"]) == ("course", 3)
    starts_at, expires_at = (
        datetime.fromisoformat(entitlement[name]) for name in ("starts_at", "expires_at")
    )
    assert starts_at <= datetime.now(UTC) < expires_at
    claims = await verified(world.settings.public_url, body["token"])
    assert claims["sub"] == f"email:{buyer}"
    assert claims["entitlements"] == body["entitlements"]


async def test_a_forged_token_is_not_verified(world: World, buyer: str) -> None:
    token: str = (await check(world, {"email": buyer})).json()["token"]
    head, body, signature = token.split(".")
    forged = f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{signature}"
    with pytest.raises(jwt.InvalidTokenError):
        await verified(world.settings.public_url, forged)


async def test_customers_are_found_by_each_of_their_names_and_no_others(
    world: World, buyer: str
) -> None:
    customer = await world.shop.stripe.v1.customers.create_async({"email": buyer})
    reference = f"user-{uuid4().hex[:8]}"
    async with world.worker():
        await buy(world, buyer, "one", customer=customer.id, client_reference_id=reference)
        await buy(world, buyer, "two")
    assert await features(world, customer=customer.id) == ["one"]
    assert await features(world, client_reference_id=reference) == ["one"]
    assert await features(world, email=buyer.lower()) == ["one", "two"]
    assert await features(world, email=buyer.upper(), feature="two") == ["two"]
    assert await features(world, email=buyer, feature="three") == []
    assert await features(world, email=f"not-{buyer}") == []
    assert await features(world, email="%") == []


async def test_only_what_is_active_counts(world: World, buyer: str) -> None:
    async with world.worker():
        for feature in ("lapsed", "future", "revoked", "active"):
            await buy(world, buyer, feature)
    for feature, change in (
        ("lapsed", "expires_at = now()"),
        ("future", "starts_at = now() + interval '1 minute'"),
    ):
        await world.execute(
            f"UPDATE entitlements SET {change} WHERE feature = '{feature}' "  # noqa: S608 - our own names
            f"AND customer_email = '{buyer}'"
        )
    known = (await check(world, {"email": buyer, "feature": "revoked"})).json()["entitlements"]
    path = f"/entitlements/{known[0]['id']}/revoke"
    await world.api.post(path, headers=OPERATOR, json={"by": "kim@example.com"})
    assert await features(world, email=buyer) == ["active"]


async def test_an_answer_is_kept_until_something_changes(world: World, buyer: str) -> None:
    async with world.worker():
        await buy(world, buyer, "course")
        await tokens_stay_for_a_while()
        first = await check(world, {"email": buyer})
        assert first.headers["Cache-Control"] == "private, max-age=60"
        known = first.headers["ETag"]
        for names_it in (known, f'"other", {known}', known.removeprefix("W/"), "*"):
            same = await check(world, {"email": buyer}, {**BEARER, "If-None-Match": names_it})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["ETag"] == known
            assert same.headers["Cache-Control"] == "private, max-age=60"
        await buy(world, buyer, "another")
    changed = await check(world, {"email": buyer}, {**BEARER, "If-None-Match": known})
    assert changed.status_code == 200
    assert len(changed.json()["entitlements"]) == 2


async def test_a_new_secret_signs_and_the_old_one_still_verifies(world: World, buyer: str) -> None:
    old = world.settings.signing_secrets
    rotated = world.with_settings(
        signing_secrets=(type(old[0])("a-new-secret-of-customers-links-and-tokens"), *old)
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    before = (await check(world, {"email": buyer})).json()["token"]
    async with (
        serving({port: create_app(rotated.settings)}),
        httpx.AsyncClient(base_url=url) as api,
    ):
        keys = (await api.get("/.well-known/jwks.json")).json()["keys"]
        after = (await api.get("/entitlements", params={"email": buyer}, headers=BEARER)).json()
        client = jwt.PyJWKClient(f"{url}/.well-known/jwks.json")
        for token in (before, after["token"]):
            key = await asyncio.to_thread(client.get_signing_key_from_jwt, token)
            assert jwt.decode(token, key, algorithms=["EdDSA"])["entitlements"] == []
    assert jwt.get_unverified_header(before)["kid"] == keys[1]["kid"]
    assert jwt.get_unverified_header(after["token"])["kid"] == keys[0]["kid"]


async def test_only_the_application_is_told(world: World) -> None:
    for headers in ({}, OPERATOR, {"Authorization": "Basic eDp5"}):
        answer = await check(world, {"email": "jo@example.com"}, headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_without_an_app_token_nobody_is_told(world: World) -> None:
    port = free_port()
    without = world.with_settings(app_token=None)
    async with (
        serving({port: create_app(without.settings)}),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as api,
    ):
        answer = await api.get("/entitlements", params={"email": "a@b"}, headers=BEARER)
    assert answer.status_code == 404
    assert "APP_TOKEN" in answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"email": "jo@example.com", "customer": "cus_1"},
        {"email": ""},
        {"email": "a\x00b"},
        {"customer": "x" * 501},
    ],
)
async def test_a_question_about_nobody_is_refused(world: World, query: dict[str, str]) -> None:
    assert (await check(world, query)).status_code == 422
