"""Where customers are sent to pay: POST /checkout, and the link in the mail of a lost payment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import httpx
import pytest
from stripe import RequestOptions
from stripe.checkout import Session

from api.app import create_app
from domain.catalog import SHIPPING_COUNTRIES
from domain.orders import OrderState
from domain.storefront import LOCALES, REPLACES, SHIPPED_KIND
from local.ports import free_port
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, CUSTOMER, MANUAL, shipment
from tests.harness.world import World
from workflows.fulfillment.registry import KINDS

SHOP = "https://shop.example.com"
DAY_S = 24 * 3600


@asynccontextmanager
async def selling(world: World, folder: Path, catalog: str) -> AsyncIterator[World]:
    """The same world with an API and workers that read a catalog."""
    file = folder / f"{uuid4().hex}.toml"
    file.write_text(catalog)
    port = free_port()
    settings = world.settings.model_copy(
        update={"catalog_file": file, "public_url": f"http://127.0.0.1:{port}"}
    )
    async with (
        serving({port: create_app(settings)}),
        httpx.AsyncClient(base_url=settings.public_url, timeout=30) as api,
    ):
        yield replace(world, settings=settings, api=api)


def listing(*prices: str, kind: str = "", checkout: str = "") -> str:
    """A catalog of prices; of access when no other kind is told."""
    entry = kind or (
        'fulfillment = "access"\naccess_url = "https://learn.example.com/course"\n'
        'access_feature = "course"'
    )
    entries = "\n".join(f"[prices.{price}]\n{entry}" for price in prices)
    return f"{entries}\n[checkout]\n{checkout}\n"


def parcel(sku: str) -> str:
    return f'fulfillment = "shipment"\nshipment_sku = "{sku}"\nshipment_weight_grams = 350'


async def check_out(
    world: World, *prices: str, key: str | None = None, quantity: int = 1, **cart: Any
) -> httpx.Response:
    return await world.api.post(
        "/checkout",
        json={"items": [{"price": price, "quantity": quantity} for price in prices], **cart},
        headers={"Idempotency-Key": key} if key else {},
    )


async def session_of(world: World, session_id: str) -> dict[str, Any]:
    session = await world.shop.stripe.v1.checkout.sessions.retrieve_async(
        session_id, {"expand": ["line_items.data.price.product"]}
    )
    return session.to_dict()


async def sessions(world: World) -> list[str]:
    page = await world.shop.stripe.v1.checkout.sessions.list_async({"limit": 100})
    return [session.id for session in page.data]


async def recurring_price(world: World) -> str:
    price = await world.shop.stripe.v1.prices.create_async(
        {
            "currency": "usd",
            "unit_amount": 900,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Club"},
        }
    )
    return price.id


async def test_a_cart_is_paid_on_stripes_page_and_fulfilled(world: World, tmp_path: Path) -> None:
    price = await world.shop.price({}, name="Course")
    text = listing(price, checkout=f'cancel_url = "{SHOP}/cart"\nallow_promotion_codes = true')
    async with selling(world, tmp_path, text) as store, store.worker():
        answer = await check_out(
            store,
            price,
            quantity=2,
            locale="de",
            customer_email="jo@example.com",
            client_reference_id="cart-7",
            metadata={"campaign": "spring"},
        )
        assert answer.status_code == 201
        assert set(answer.json()) == {"id", "url"}
        assert answer.headers["Cache-Control"] == "no-store"
        session_id = answer.json()["id"]
        session = await session_of(store, session_id)
        assert session["url"] == answer.json()["url"]
        assert session["success_url"] == (
            f"{store.settings.public_url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"
        )
        assert session["cancel_url"] == f"{SHOP}/cart"
        assert session["allow_promotion_codes"] is True
        assert session["mode"] == "payment"
        assert session["amount_total"] == 2 * 1999
        assert session["locale"] == "de"
        assert session["customer_email"] == "jo@example.com"
        assert session["client_reference_id"] == "cart-7"
        assert session["metadata"] == {"campaign": "spring"}
        assert session["shipping_address_collection"] is None

        await store.shop.pay(session_id)
        assert (await store.result(session_id)).state is OrderState.FULFILLED
        page = await store.api.get("/after-checkout", params={"session_id": session_id})
    assert ACCESS["access_url"] in page.text


async def test_a_cart_is_paid_within_the_shops_page_and_fulfilled(
    world: World, tmp_path: Path
) -> None:
    price = await world.shop.price({})
    async with selling(world, tmp_path, listing(price)) as store, store.worker():
        answer = await check_out(store, price, ui_mode="embedded")
        assert answer.status_code == 201
        assert set(answer.json()) == {"id", "client_secret"}
        session_id = answer.json()["id"]
        session = await session_of(store, session_id)
        assert session["ui_mode"] == "embedded_page"
        assert session["client_secret"] == answer.json()["client_secret"]
        assert session["return_url"].endswith("/after-checkout?session_id={CHECKOUT_SESSION_ID}")
        await store.shop.pay(session_id)
        assert (await store.result(session_id)).state is OrderState.FULFILLED


async def test_a_product_of_the_catalog_sells_at_any_active_price(
    world: World, tmp_path: Path
) -> None:
    price = await world.shop.price({})
    product = (await world.shop.stripe.v1.prices.retrieve_async(price)).product
    entry = 'fulfillment = "manual"\nmanual_instructions = "Call"'
    async with selling(world, tmp_path, f"[products.{product}]\n{entry}") as store:
        assert (await check_out(store, price)).status_code == 201


async def test_a_recurring_price_makes_it_a_subscription(world: World, tmp_path: Path) -> None:
    club, fee = await recurring_price(world), await world.shop.price({})
    async with selling(world, tmp_path, listing(club, fee)) as store:
        session_id = (await check_out(store, club, fee)).json()["id"]
    assert (await session_of(world, session_id))["mode"] == "subscription"


@pytest.mark.parametrize(
    ("asked", "sent"), [("pt-BR", "pt-BR"), ("tlh", "auto"), ("de-AT", "auto"), (None, None)]
)
async def test_a_locale_that_checkout_lacks_is_the_browsers(
    world: World, tmp_path: Path, asked: str | None, sent: str | None
) -> None:
    price = await world.shop.price({})
    async with selling(world, tmp_path, listing(price)) as store:
        session_id = (await check_out(store, price, locale=asked)).json()["id"]
    assert (await session_of(world, session_id))["locale"] == sent


async def test_what_is_not_on_sale_is_refused_with_the_place(world: World, tmp_path: Path) -> None:
    listed, old, unlisted, of_old = [await world.shop.price({}) for _ in range(4)]
    await world.shop.stripe.v1.prices.update_async(old, {"active": False})
    product = (await world.shop.stripe.v1.prices.retrieve_async(of_old)).product
    await world.shop.stripe.v1.products.update_async(str(product), {"active": False})
    before = await sessions(world)
    async with selling(world, tmp_path, listing(listed, old, of_old, "price_gone")) as store:
        for price, problem in [
            (unlisted, f"items.1.price: {unlisted} is not on sale here"),
            ("price_unknown", "items.1.price: price_unknown is not on sale here"),
            ("price_gone", "items.1.price: price_gone is not on sale here"),
            (old, f"items.1.price: {old} is no longer on sale"),
            (of_old, f"items.1.price: {of_old} is no longer on sale"),
        ]:
            answer = await check_out(store, listed, price)
            assert (answer.status_code, answer.json()) == (400, {"error": problem})
    assert await sessions(world) == before


async def test_what_stripe_refuses_is_told_with_its_words(world: World, tmp_path: Path) -> None:
    dollars = await world.shop.price({})
    euros = await world.shop.price({}, currency="eur")
    async with selling(world, tmp_path, listing(dollars, euros)) as store:
        answer = await check_out(store, dollars, euros)
    assert answer.status_code == 400
    assert "currency" in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"items": []}, "items"),
        ({"items": [{"price": "price_1"}] * 101}, "items"),
        ({"items": [{"price": "price_1", "quantity": 0}]}, "quantity"),
        ({"items": [{"price": "price_1", "quantity": 1000}]}, "quantity"),
        ({"items": [{"price": "price_1", "quantity": "2"}]}, "quantity"),
        ({"items": [{"price": "price_1", "quantity": 1.5}]}, "quantity"),
        ({"items": [{"price": "../products"}]}, "price"),
        ({"items": [{"price": "price_1", "amount": 1}]}, "amount"),
        ({"ui_mode": "form"}, "ui_mode"),
        ({"customer_email": "jo"}, "customer_email"),
        ({"client_reference_id": "x" * 201}, "client_reference_id"),
        ({"metadata": {"k" * 41: "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 501}}, "metadata"),
        ({"metadata": {str(n): "v" for n in range(50)}}, "metadata"),
        ({"metadata": {REPLACES: "cs_test_OfSomebodyElse"}}, "metadata"),
        ({"success_url": "https://evil.example.com"}, "success_url"),
    ],
)
async def test_a_request_out_of_bounds_is_refused_with_the_place(
    world: World, tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    async with selling(world, tmp_path, listing("price_1")) as store:
        answer = await store.api.post("/checkout", json={"items": [{"price": "price_1"}], **change})
    assert answer.status_code == 422
    assert any(place in problem["loc"] for problem in answer.json()["detail"])


@pytest.mark.parametrize("key", ["short", "x" * 201, "sixteen and a blank"])
async def test_an_unsafe_idempotency_key_is_refused(world: World, tmp_path: Path, key: str) -> None:
    async with selling(world, tmp_path, listing("price_1")) as store:
        assert (await check_out(store, "price_1", key=key)).status_code == 422


async def test_a_huge_request_is_refused(world: World, tmp_path: Path) -> None:
    async with selling(world, tmp_path, listing("price_1")) as store:
        answer = await check_out(store, "price_1", locale="x" * 300_000)
    assert answer.status_code == 413


async def test_a_double_click_opens_one_session(world: World, tmp_path: Path) -> None:
    price = await world.shop.price({})
    # The second request comes while Stripe is at the first one.
    slow = {"path": "/checkout/sessions$", "method": "POST", "status": None, "delay_ms": 300}
    await world.shop.control("POST", "/faults", {**slow, "count": 1})
    before = await sessions(world)
    key = str(uuid4())
    async with selling(world, tmp_path, listing(price)) as store:
        answers = await asyncio.gather(*(check_out(store, price, key=key) for _ in range(2)))
        again = await check_out(store, price, key=key)
        other = await check_out(store, price, key=str(uuid4()))
    assert [answer.status_code for answer in [*answers, again, other]] == [201] * 4
    assert len({answer.text for answer in [*answers, again]}) == 1
    assert len(await sessions(world)) == len(before) + 2


async def test_a_key_of_another_cart_is_refused(world: World, tmp_path: Path) -> None:
    price = await world.shop.price({})
    key = str(uuid4())
    async with selling(world, tmp_path, listing(price)) as store:
        assert (await check_out(store, price, key=key)).status_code == 201
        answer = await check_out(store, price, key=key, quantity=2)
    assert answer.status_code == 409
    assert answer.json() == {"error": "this Idempotency-Key belongs to another request"}


async def test_without_a_catalog_there_is_no_storefront(world: World) -> None:
    price = await world.shop.price(ACCESS)
    assert (await check_out(world, price)).status_code == 404
    assert "/checkout" not in (await world.api.get("/openapi.json")).json()["paths"]


async def test_the_api_refuses_to_start_with_a_broken_catalog(world: World, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"CATALOG_FILE: checkout\.colour: Extra inputs"):
        async with selling(world, tmp_path, '[checkout]\ncolour = "blue"'):
            pass


async def test_with_a_catalog_it_is_described(world: World, tmp_path: Path) -> None:
    async with selling(world, tmp_path, listing("price_1")) as store:
        described = (await store.api.get("/openapi.json")).json()["paths"]["/checkout"]["post"]
    assert {"201", "400", "409", "413", "422", "503"} <= set(described["responses"])


async def test_only_pages_of_listed_origins_may_call_it(world: World, tmp_path: Path) -> None:
    price = await world.shop.price({})
    text = listing(price, checkout=f'origins = ["{SHOP}"]')
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, idempotency-key",
    }
    allow = "Access-Control-Allow-Origin"
    async with selling(world, tmp_path, text) as store:
        let = await store.api.options("/checkout", headers={"Origin": SHOP, **asking})
        assert (let.status_code, let.headers[allow]) == (200, SHOP)
        cart = {"items": [{"price": price}]}
        sold = await store.api.post("/checkout", json=cart, headers={"Origin": SHOP})
        assert (sold.status_code, sold.headers[allow]) == (201, SHOP)

        for other in ("https://evil.example.com", "null", f"{SHOP}.evil.example.com"):
            answer = await store.api.options("/checkout", headers={"Origin": other, **asking})
            assert answer.status_code == 400
            assert allow not in answer.headers
            answer = await store.api.post("/checkout", json=cart, headers={"Origin": other})
            assert allow not in answer.headers
        page = await store.api.get("/after-checkout", headers={"Origin": SHOP})
        assert allow not in page.headers


async def test_an_address_is_asked_only_when_something_ships(world: World, tmp_path: Path) -> None:
    sku = await world.new_sku()
    rate = await world.shop.stripe.v1.shipping_rates.create_async(
        {
            "display_name": "Parcel",
            "type": "fixed_amount",
            "fixed_amount": {"amount": 500, "currency": "usd"},
        }
    )
    mug, course, box = (
        await world.shop.price({}),
        await world.shop.price({}),
        await recurring_price(world),
    )
    options = f'shipping_countries = ["US", "DE"]\nshipping_rates = ["{rate.id}"]'
    text = listing(course) + listing(mug, box, kind=parcel(sku)).replace(
        "[checkout]\n", f"[checkout]\n{options}"
    )
    text = text.replace("[checkout]\n\n", "", 1)
    async with selling(world, tmp_path, text) as store, store.worker():
        online = await session_of(store, (await check_out(store, course)).json()["id"])
        assert online["shipping_address_collection"] is None
        assert online["shipping_options"] == []
        # Stripe knows no shipping rates in subscriptions.
        monthly = await session_of(store, (await check_out(store, box)).json()["id"])
        assert monthly["shipping_address_collection"] is not None
        assert monthly["shipping_options"] == []

        session_id = (await check_out(store, course, mug)).json()["id"]
        session = await session_of(store, session_id)
        assert session["shipping_address_collection"] == {"allowed_countries": ["US", "DE"]}
        assert session["amount_total"] == 2 * 1999 + 500
        await store.shop.pay(session_id)
        assert (await store.result(session_id)).state is OrderState.FULFILLED
        assert len(await store.parcels(session_id)) == 1


async def test_what_ships_nowhere_is_refused_before_it_is_paid(
    world: World, tmp_path: Path
) -> None:
    price = await world.shop.price({})
    async with selling(world, tmp_path, listing(price, kind=parcel("MUG"))) as store:
        answer = await check_out(store, price)
    assert answer.status_code == 400
    assert "shipping_countries" in answer.json()["error"]


@pytest.mark.parametrize("status", [500, 429, 401, 403])
@pytest.mark.parametrize("path", ["/v1/prices/", "/checkout/sessions$"])
async def test_while_stripe_does_not_serve_us_the_shop_asks_again(
    world: World, tmp_path: Path, status: int, path: str
) -> None:
    price = await world.shop.price({})
    key = str(uuid4())
    async with selling(world, tmp_path, listing(price)) as store:
        fault = {"path": path, "status": status, "count": 1}
        await store.shop.control("POST", "/faults", fault)
        answer = await check_out(store, price, key=key)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert (await check_out(store, price, key=key)).status_code == 201


def test_it_knows_the_countries_and_languages_of_checkout() -> None:
    shipping = Session.ShippingAddressCollection.__annotations__
    assert _literals(shipping["allowed_countries"]) == SHIPPING_COUNTRIES
    assert _literals(Session.__annotations__["locale"]) == LOCALES
    assert SHIPPED_KIND in KINDS


def _literals(annotation: Any) -> set[str]:
    found = set()
    for part in get_args(annotation):
        found |= {part} if isinstance(part, str) else _literals(part)
    return found


async def try_again(world: World, session_id: str, **query: str) -> httpx.Response:
    return await world.api.get("/try-again", params={"session_id": session_id, **query})


async def leads_to(world: World, session_id: str) -> dict[str, Any]:
    """The open session that the link of a lost one leads to."""
    answer = await try_again(world, session_id)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    replacing = await session_of(world, answer.headers["Location"].rpartition("/")[2])
    assert replacing["url"] == answer.headers["Location"]
    return replacing


def landing(session_id: str) -> str:
    return f"/after-checkout?session_id={session_id}"


async def failed(world: World, *metadata: dict[str, str], **options: Any) -> str:
    """A session whose delayed payment has failed."""
    prices = [await world.shop.price(each, currency="eur") for each in metadata or (ACCESS,)]
    return await failed_checkout(world, *prices, **options)


async def failed_checkout(world: World, *prices: str, **options: Any) -> str:
    session_id = await world.shop.checkout(
        *prices, **{"allowed_payment_method_types": ["sepa_debit"], **options}
    )
    await world.shop.pay(session_id, "bank_debit")
    await world.shop.fail(session_id)
    return session_id


async def test_a_failed_payment_is_made_again_for_the_same_things(world: World) -> None:
    lost = await failed(
        world,
        ACCESS,
        MANUAL,
        quantity=3,
        locale="de",
        client_reference_id="cart-7",
        metadata={"campaign": "spring"},
        phone_number_collection={"enabled": True},
        billing_address_collection="required",
        allow_promotion_codes=True,
        automatic_tax={"enabled": True},
        cancel_url=f"{SHOP}/cart",
        custom_fields=[
            {
                "key": "engraving",
                "label": {"type": "custom", "custom": "Engraving"},
                "type": "text",
                "text": {"maximum_length": 10},
                "optional": True,
            }
        ],
        shipping_options=[
            {
                "shipping_rate_data": {
                    "display_name": "Parcel",
                    "type": "fixed_amount",
                    "fixed_amount": {"amount": 500, "currency": "eur"},
                }
            }
        ],
        payment_intent_data={"description": "Spring sale", "metadata": {"campaign": "spring"}},
    )
    old, new = await session_of(world, lost), await leads_to(world, lost)
    same = (
        "mode",
        "amount_total",
        "currency",
        "locale",
        "client_reference_id",
        "phone_number_collection",
        "billing_address_collection",
        "allow_promotion_codes",
        "automatic_tax",
        "cancel_url",
        "custom_fields",
        "shipping_address_collection",
        "shipping_options",
    )
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert [(item["price"]["id"], item["quantity"]) for item in new["line_items"]["data"]] == [
        (item["price"]["id"], item["quantity"]) for item in old["line_items"]["data"]
    ]
    assert new["id"] != lost
    assert new["metadata"] == {"campaign": "spring", REPLACES: lost}
    assert new["customer_email"] == CUSTOMER["email"]
    assert new["success_url"] == (
        f"{world.settings.public_url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"
    )
    assert "card" in new["payment_method_types"]
    await world.shop.pay(new["id"])
    intent = (await session_of(world, new["id"]))["payment_intent"]
    paid = await world.shop.stripe.v1.payment_intents.retrieve_async(intent)
    assert paid.description == "Spring sale"
    assert paid.metadata["campaign"] == "spring"


async def test_the_link_is_the_same_session_until_that_is_paid(world: World) -> None:
    async with world.worker():
        lost = await failed(world)
        both = await asyncio.gather(leads_to(world, lost), leads_to(world, lost))
        new = (await leads_to(world, lost))["id"]
        assert {session["id"] for session in both} == {new}

        await world.shop.pay(new)
        assert (await try_again(world, lost)).headers["Location"] == landing(new)
        assert (await world.result(new)).state is OrderState.FULFILLED
        # Stripe has forgotten the idempotency keys; it keeps the sessions.
        await world.shop.control("POST", "/clock", {"advance_s": 2 * DAY_S})
        assert (await try_again(world, lost)).headers["Location"] == landing(new)
        page = await world.api.get((await try_again(world, new)).headers["Location"])
    assert ACCESS["access_url"] in page.text


async def test_the_link_of_an_expired_replacement_leads_to_another(world: World) -> None:
    lost = await failed(world)
    first = (await leads_to(world, lost))["id"]
    await world.shop.control("POST", f"/sessions/{first}/expire")
    second = await leads_to(world, lost)
    assert second["id"] != first
    assert second["metadata"] == {REPLACES: first}
    assert (await leads_to(world, first))["id"] == second["id"]

    await world.shop.control("POST", "/clock", {"advance_s": 2 * DAY_S})
    third = (await leads_to(world, lost))["id"]
    assert third not in {first, second["id"]}
    assert (await leads_to(world, second["id"]))["id"] == third


async def test_links_of_two_failed_payments_meet(world: World) -> None:
    lost = await failed(world)
    again = (await leads_to(world, lost))["id"]
    await world.shop.pay(again, "bank_debit")
    assert (await try_again(world, lost)).headers["Location"] == landing(again)
    await world.shop.fail(again)
    assert (await leads_to(world, lost))["id"] == (await leads_to(world, again))["id"]


async def test_an_expired_checkout_is_begun_again(world: World) -> None:
    price = await world.shop.price(ACCESS)
    known = await world.shop.checkout(price, customer_email="jo@example.com")
    anonymous = await world.shop.checkout(price)
    for session_id in (known, anonymous):
        await world.shop.control("POST", f"/sessions/{session_id}/expire")
        new = await leads_to(world, session_id)
        assert new["metadata"] == {REPLACES: session_id}
        assert (await leads_to(world, session_id))["id"] == new["id"]
        await world.shop.control("POST", f"/sessions/{new['id']}/expire")
        assert (await leads_to(world, session_id))["id"] != new["id"]


async def test_a_known_customer_stays_known(world: World) -> None:
    customer = await world.shop.stripe.v1.customers.create_async({"email": "jo@example.com"})
    lost = await failed(world, customer=customer.id, automatic_tax={"enabled": True})
    new = await leads_to(world, lost)
    assert new["customer"] == customer.id
    await world.shop.pay(new["id"])
    assert (await try_again(world, lost)).headers["Location"] == landing(new["id"])


async def test_an_expired_subscription_is_begun_again(world: World) -> None:
    price = await recurring_price(world)
    lost = await world.shop.checkout(price, mode="subscription")
    await world.shop.stripe.v1.prices.update_async(price, {"active": False})
    await world.shop.control("POST", f"/sessions/{lost}/expire")
    new = await leads_to(world, lost)
    assert new["mode"] == "subscription"
    assert new["amount_total"] == 900
    [item] = new["line_items"]["data"]
    assert item["price"]["recurring"]["interval"] == "month"
    assert item["price"]["product"]["name"] == "Club"


async def test_a_subscription_whose_first_payment_failed_is_begun_again(world: World) -> None:
    price = await world.shop.stripe.v1.prices.create_async(
        {
            "currency": "eur",
            "unit_amount": 900,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Club", "metadata": ACCESS},
        }
    )
    lost = await failed_checkout(world, price.id, mode="subscription")
    new = await leads_to(world, lost)
    assert new["mode"] == "subscription"
    assert new["customer"] == (await session_of(world, lost))["customer"]
    await world.shop.pay(new["id"])
    assert (await try_again(world, lost)).headers["Location"] == landing(new["id"])


async def test_a_price_that_is_no_longer_active_is_charged_and_fulfilled_all_the_same(
    world: World, tmp_path: Path
) -> None:
    sku = await world.new_sku()
    price = await world.shop.price(shipment("OTHER"), name="Mug", currency="eur")
    async with selling(world, tmp_path, listing(price, kind=parcel(sku))) as store, store.worker():
        lost = await failed_checkout(store, price, quantity=2)
        await store.shop.stripe.v1.prices.update_async(price, {"active": False})
        new = await leads_to(store, lost)
        [item] = new["line_items"]["data"]
        assert item["price"]["id"] != price
        assert item["price"]["product"]["name"] == "Mug"
        assert new["amount_total"] == 2 * 1999
        await store.shop.pay(new["id"])
        # What the catalog says of the price it says of its copy, too.
        assert (await store.result(new["id"])).state is OrderState.FULFILLED
    assert await world.stock(sku) == 98


@pytest.mark.parametrize(
    "amount",
    [
        {"unit_amount": 0},
        {"unit_amount_decimal": Decimal("12.5")},
        {"custom_unit_amount": {"enabled": True, "preset": 700}},
    ],
)
async def test_every_kind_of_amount_and_a_shipping_rate_outlive_their_archiving(
    world: World, amount: dict[str, Any]
) -> None:
    stripe = world.shop.stripe.v1
    sold: Any = {"currency": "usd", "product_data": {"name": "Gift"}, **amount}
    price = await stripe.prices.create_async(sold)
    rate = await stripe.shipping_rates.create_async(
        {
            "display_name": "Parcel",
            "type": "fixed_amount",
            "fixed_amount": {"amount": 500, "currency": "usd"},
        }
    )
    lost = await world.shop.checkout(price.id, shipping_options=[{"shipping_rate": rate.id}])
    await world.shop.control("POST", f"/sessions/{lost}/expire")
    await stripe.prices.update_async(price.id, {"active": False})
    await stripe.shipping_rates.update_async(rate.id, {"active": False})
    old, new = await session_of(world, lost), await leads_to(world, lost)
    assert new["amount_total"] == old["amount_total"]
    assert new["total_details"] == old["total_details"]
    assert new["shipping_options"][0]["shipping_rate"] != rate.id


async def test_a_checkout_of_many_things_is_begun_again_whole(world: World) -> None:
    prices = [await world.shop.price(ACCESS, amount=100 + n) for n in range(25)]
    lost = await world.shop.checkout(*prices)
    await world.shop.control("POST", f"/sessions/{lost}/expire")
    new = await leads_to(world, lost)
    items = await world.shop.stripe.v1.checkout.sessions.line_items.list_async(
        new["id"], {"limit": 100}
    )
    assert [item.price.id for item in items.data if item.price] == prices


async def test_a_discount_of_the_merchants_is_given_again(world: World) -> None:
    coupon = await world.shop.stripe.v1.coupons.create_async(
        {"percent_off": 50, "duration": "once"}
    )
    lost = await failed(world, discounts=[{"coupon": coupon.id}])
    assert (await leads_to(world, lost))["amount_total"] == 999


async def test_a_connected_accounts_sale_is_made_again_there(world: World, tmp_path: Path) -> None:
    account: RequestOptions = {"stripe_account": "acct_1ConnectedShop"}
    stripe = world.shop.stripe.v1
    price = await stripe.prices.create_async(
        {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Tea"}}, account
    )
    lost = await stripe.checkout.sessions.create_async(
        {
            "mode": "payment",
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": SHOP,
            "allowed_payment_method_types": ["sepa_debit"],
        },
        account,
    )
    await world.shop.pay(lost.id, "bank_debit")
    await world.shop.fail(lost.id)
    settings = world.settings.model_copy(
        update={"stripe_connect_accounts": ("acct_1ConnectedShop",)}
    )
    theirs = replace(world, settings=settings)
    async with selling(theirs, tmp_path, "") as theirs:
        answer = await try_again(theirs, lost.id, account="acct_1ConnectedShop")
        assert answer.status_code == 303
        new = await stripe.checkout.sessions.retrieve_async(
            answer.headers["Location"].rpartition("/")[2], options=account
        )
        assert new.success_url == (
            f"{theirs.settings.public_url}/after-checkout"
            "?session_id={CHECKOUT_SESSION_ID}&account=acct_1ConnectedShop"
        )
        await world.shop.pay(new.id)
        answer = await try_again(theirs, lost.id, account="acct_1ConnectedShop")
        assert answer.headers["Location"] == f"{landing(new.id)}&account=acct_1ConnectedShop"
        for other in ("acct_1SomebodyElse", "x", ""):
            assert (await try_again(theirs, lost.id, account=other)).status_code == 404
    assert (await try_again(world, lost.id, account="acct_1ConnectedShop")).status_code == 404


async def test_a_session_that_is_not_lost_leads_where_it_is(world: World) -> None:
    price = await world.shop.price(ACCESS, currency="eur")
    before = await sessions(world)
    still_open = await world.shop.checkout(price)
    embedded = await world.shop.stripe.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "ui_mode": "embedded_page",
            "line_items": [{"price": price, "quantity": 1}],
            "return_url": SHOP,
        }
    )
    paid = await world.shop.buy(ACCESS)
    pending = await world.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
    await world.shop.pay(pending, "bank_debit")
    assert (await leads_to(world, still_open))["id"] == still_open
    for session_id in (embedded.id, paid, pending):
        answer = await try_again(world, session_id)
        assert (answer.status_code, answer.headers["Location"]) == (303, landing(session_id))
    assert len(await sessions(world)) == len(before) + 4


@pytest.mark.parametrize(
    "session_id",
    ["", "cs_test_a1UnknownToStripe", "cs_live_a1OfTheOtherMode", "cs_test_../../x", "<script>"],
)
async def test_a_session_that_is_not_ours_is_not_found(world: World, session_id: str) -> None:
    page = await try_again(world, session_id)
    assert page.status_code == 404
    assert "We could not find this order" in page.text
    assert page.headers["Cache-Control"] == "no-store"


async def test_where_nothing_was_bought_there_is_nothing_to_pay(world: World) -> None:
    setup = await world.shop.stripe.v1.checkout.sessions.create_async(
        {"mode": "setup", "currency": "usd", "success_url": SHOP}
    )
    await world.shop.control("POST", f"/sessions/{setup.id}/expire")
    page = await try_again(world, setup.id)
    assert page.status_code == 404
    assert "This order cannot be paid again" in page.text


async def test_sessions_that_replace_each_other_lead_on(world: World) -> None:
    price = await world.shop.price(ACCESS)
    one, two = [await world.shop.checkout(price, customer_email="jo@example.com") for _ in range(2)]
    for session_id, replaced in ((one, two), (two, one)):
        await world.shop.stripe.v1.checkout.sessions.update_async(
            session_id, {"metadata": {REPLACES: replaced}}
        )
        await world.shop.control("POST", f"/sessions/{session_id}/expire")
    new = await leads_to(world, one)
    assert new["metadata"] == {REPLACES: two}
    assert (await leads_to(world, two))["id"] == new["id"]


@pytest.mark.parametrize("path", ["/checkout/sessions$", "line_items$"])
async def test_while_stripe_is_away_the_link_asks_for_a_moment(world: World, path: str) -> None:
    lost = await failed(world)
    await world.shop.control("POST", "/faults", {"path": path, "status": 500, "count": 1})
    page = await try_again(world, lost)
    assert page.status_code == 503
    assert 'http-equiv="refresh"' in page.text
    await leads_to(world, lost)


async def test_a_refusal_that_stripe_keeps_does_not_keep_the_customer(world: World) -> None:
    coupon = await world.shop.stripe.v1.coupons.create_async(
        {"percent_off": 50, "duration": "once", "max_redemptions": 1}
    )
    lost = await failed(world, discounts=[{"coupon": coupon.id}])
    page = await try_again(world, lost)
    assert page.status_code == 404
    assert "This order cannot be paid again" in page.text
    # The merchant makes a coupon of the same name anew.
    await world.shop.stripe.v1.coupons.delete_async(coupon.id)
    await world.shop.stripe.v1.coupons.create_async(
        {"id": coupon.id, "percent_off": 50, "duration": "once"}
    )
    assert (await leads_to(world, lost))["amount_total"] == 999
