"""Every page besides the order's own: in the language of Checkout, else of the browser."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from database.backorders import join_queue, leave_queue
from database.downloads import offer
from database.questions import ask, take_defaults, withdraw
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.orders import Question
from domain.shipping import ParcelItem
from tests.harness.paid_orders import record_order
from tests.harness.shop import ACCESS
from tests.harness.world import SIGNING_SECRET, World, open_world

STOCK, TO = Question.OUT_OF_STOCK, Question.ADDRESS
DEFAULT_AT = datetime(2031, 5, 9, 12, tzinfo=UTC)
FILE = "album.zip"
Make = Callable[["Customer"], Awaitable[httpx.Response]]
"""Brings a page about, and opens it."""


class Customer:
    """Somebody who bought in one language, or in none that Checkout knew of.

    Args:
        world: Where.
        checkout_locale: What the Checkout Session says; None where the browser chose.
        accepted: The browser's languages.
    """

    def __init__(self, world: World, checkout_locale: str | None, accepted: str) -> None:
        self.world = world
        self.links = Links(world.settings.public_url, [SIGNING_SECRET])
        self.checkout_locale = checkout_locale
        self._headers = {"Accept-Language": accepted}

    async def get(self, url: str) -> httpx.Response:
        return await self.world.api.get(url, headers=self._headers)

    async def answer(
        self, ref: FulfillmentRef, question: Question, **fields: str
    ) -> httpx.Response:
        token = self.links.answer(ref, question).partition("token=")[2]
        return await self.world.api.post(
            "/answer", data={"token": token, **fields}, headers=self._headers, follow_redirects=True
        )

    async def order(self, kind: str) -> FulfillmentRef:
        async with self.world.database.transaction() as connection:
            ref = await record_order(connection, kind, {})
        if self.checkout_locale is not None:
            await self.world.execute(
                f"UPDATE orders SET locale = '{self.checkout_locale}' "  # noqa: S608 - our own ID
                f"WHERE session_id = '{ref.session_id}'"
            )
        return ref

    async def asked(
        self, question: Question, default_at: datetime | None = DEFAULT_AT
    ) -> FulfillmentRef:
        ref = await self.order("shipment")
        async with self.world.database.transaction() as connection:
            await ask(connection, ref, question, default_at)
            if question is STOCK:
                await join_queue(connection, ref, [ParcelItem(sku="X", quantity=1, weight_grams=1)])
        return ref

    async def bought_file(self) -> str:
        ref = await self.order("download")
        async with self.world.database.transaction() as connection:
            until = await offer(connection, ref, FILE, days=1, allowed_each=1, pieces=1)
        return self.links.download(ref, FILE, until)


async def _sold_out(customer: Customer) -> httpx.Response:
    return await customer.get(customer.links.answer(await customer.asked(STOCK), STOCK))


async def _waits(customer: Customer) -> httpx.Response:
    return await customer.answer(await customer.asked(STOCK), STOCK, choice="wait")


async def _refunded(customer: Customer) -> httpx.Response:
    return await customer.answer(await customer.asked(STOCK), STOCK, choice="refund")


async def _refunded_by_default(customer: Customer) -> httpx.Response:
    ref = await customer.asked(STOCK, datetime.now(UTC))
    async with customer.world.database.transaction() as connection:
        await take_defaults(connection, ref)
    return await customer.get(customer.links.answer(ref, STOCK))


async def _there_again(customer: Customer) -> httpx.Response:
    ref = await customer.asked(STOCK)
    async with customer.world.database.transaction() as connection:
        await leave_queue(connection, ref)
    return await customer.get(customer.links.answer(ref, STOCK))


async def _no_address(customer: Customer) -> httpx.Response:
    return await customer.get(customer.links.answer(await customer.asked(TO), TO))


async def _wrong_address(customer: Customer) -> httpx.Response:
    return await customer.answer(await customer.asked(TO), TO, name="Jo", phone="call me")


async def _address(customer: Customer) -> httpx.Response:
    address = {"name": "Jo", "line1": "Hauptstr. 5", "city": "Berlin", "country": "DE"}
    return await customer.answer(await customer.asked(TO), TO, **address)


async def _withdrawn(customer: Customer) -> httpx.Response:
    ref = await customer.asked(STOCK)
    async with customer.world.database.transaction() as connection:
        await withdraw(connection, ref)
    return await customer.get(customer.links.answer(ref, STOCK))


async def _loaded_too_often(customer: Customer) -> httpx.Response:
    folder = customer.world.settings.downloads_folder
    assert folder is not None
    (folder / FILE).write_bytes(b"music")
    url = await customer.bought_file()
    assert (await customer.get(url)).content == b"music"
    return await customer.get(url)


async def _file_missing(customer: Customer) -> httpx.Response:
    return await customer.get(await customer.bought_file())


async def _download_revoked(customer: Customer) -> httpx.Response:
    url = await customer.bought_file()
    await customer.world.execute("UPDATE downloads SET revoked_at = now()")
    return await customer.get(url)


async def _download_expired(customer: Customer) -> httpx.Response:
    ref = await customer.order("download")
    ended = datetime.now(UTC) - timedelta(days=1)
    return await customer.get(customer.links.download(ref, FILE, ended))


async def _not_for_sale(customer: Customer) -> httpx.Response:
    session = await customer.world.shop.stripe.v1.checkout.sessions.create_async(
        {
            "mode": "setup",
            "currency": "usd",
            "success_url": "https://shop.example",
            "locale": customer.checkout_locale or "auto",
        }
    )
    await customer.world.shop.control("POST", f"/sessions/{session.id}/expire")
    return await customer.get(f"/try-again?session_id={session.id}")


async def _unfinished(customer: Customer) -> httpx.Response:
    shop = customer.world.shop
    locale = customer.checkout_locale or "auto"
    session_id = await shop.checkout(await shop.price(ACCESS), locale=locale)
    return await customer.get(f"/after-checkout?session_id={session_id}")


async def _unknown(customer: Customer) -> httpx.Response:
    return await customer.get("/answer?token=x")


async def _stripe_away(customer: Customer) -> httpx.Response:
    fault = {"path": "^/v1/checkout/sessions/", "status": 500, "count": 1}
    await customer.world.shop.control("POST", "/faults", fault)
    return await customer.get("/try-again?session_id=cs_test_a1b2c3d4e5f6g7h8")


OF_AN_ORDER: dict[Make, tuple[str, str]] = {
    _sold_out: ("Es tut uns leid: Dies ist ausverkauft", "Lo sentimos: esto se ha agotado"),
    _waits: ("Vielen Dank, dass Sie warten", "Gracias por esperar"),
    _refunded: ("Sie bekommen Ihr Geld zurück", "Le devolvemos su dinero"),
    _refunded_by_default: ("Sie bekommen Ihr Geld zurück", "Le devolvemos su dinero"),
    _there_again: ("Gute Nachricht: Es ist wieder da", "Buenas noticias: ya hay de nuevo"),
    _no_address: ("Wohin sollen wir es schicken?", "¿A dónde se lo enviamos?"),
    _wrong_address: ("Wohin sollen wir es schicken?", "¿A dónde se lo enviamos?"),
    _address: ("Vielen Dank für die Adresse", "Gracias por la dirección"),
    _withdrawn: ("Dieser Link wird nicht mehr gebraucht", "Este enlace ya no hace falta"),
    _loaded_too_often: (
        "So oft heruntergeladen, wie es möglich ist",
        "Ya se ha descargado todas las veces posibles",
    ),
    _file_missing: ("Die Datei ist gerade nicht da", "El archivo no está disponible ahora mismo"),
    _download_revoked: ("Dieser Download ist beendet", "Esta descarga ha terminado"),
    _download_expired: ("Dieser Download ist beendet", "Esta descarga ha terminado"),
    _not_for_sale: (
        "Diese Bestellung kann nicht noch einmal bezahlt werden",
        "Este pedido no se puede volver a pagar",
    ),
    _unfinished: ("Dieser Bezahlvorgang ist nicht abgeschlossen", "Este pago no está terminado"),
}
OF_NO_ORDER: dict[Make, tuple[str, str]] = {
    _unknown: (
        "Wir konnten diese Bestellung nicht finden",
        "No hemos podido encontrar este pedido",
    ),
    _stripe_away: ("Einen Moment, bitte", "Un momento, por favor"),
}


def _heading(page: httpx.Response) -> str:
    [heading] = re.findall("<h1>(.*)</h1>", page.text)
    return html.unescape(str(heading))


def _lang(page: httpx.Response) -> str:
    [lang] = re.findall('<html lang="(.*)">', page.text)
    return str(lang)


def _name(value: object) -> str:
    return getattr(value, "__name__", "headings").strip("_")


@pytest.mark.parametrize(("make", "headings"), OF_AN_ORDER.items(), ids=_name)
async def test_a_page_about_an_order_speaks_as_checkout_did(
    world: World, make: Make, headings: tuple[str, str]
) -> None:
    german, spanish = headings
    bought_in_german = await make(Customer(world, "de", accepted="fr"))
    assert (_lang(bought_in_german), _heading(bought_in_german)) == ("de", german)
    browser_chose = await make(Customer(world, None, accepted="xx,es-MX;q=0.9,en;q=0.1"))
    assert (_lang(browser_chose), _heading(browser_chose)) == ("es-MX", spanish)


@pytest.mark.parametrize(("make", "headings"), OF_NO_ORDER.items(), ids=_name)
async def test_a_page_about_no_order_speaks_as_the_browser_does(
    world: World, make: Make, headings: tuple[str, str]
) -> None:
    for language, heading in zip(("de", "es"), headings, strict=True):
        page = await make(Customer(world, None, accepted=language))
        assert (_lang(page), _heading(page)) == (language, heading)


async def test_else_a_page_speaks_as_the_shop_does(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> None:
    ours = {"shop_language": "ja", "shop_name": "Kiosk & Sons"}
    async with open_world(database_url, client, temporal_address, tmp_path, **ours) as world:
        page = await _no_address(Customer(world, None, accepted="xx"))
    assert (_lang(page), _heading(page)) == ("ja", "お届け先をお知らせください")
    assert "<header>Kiosk &amp; Sons</header>" in page.text


@pytest.mark.parametrize(
    ("locale", "day", "default"),
    [
        ("de", "9. Mai 2031", "Wenn wir bis zum {} nichts von Ihnen hören"),
        ("ja", "2031年5月9日", "{}までにお返事がない場合は"),
    ],
)
async def test_a_day_is_written_as_in_the_language(
    world: World, locale: str, day: str, default: str
) -> None:
    customer = Customer(world, locale, accepted="")
    for make in (_sold_out, _no_address):
        assert default.format(day) in (await make(customer)).text


@pytest.mark.parametrize(
    ("locale", "problems"),
    [
        (
            "es",
            {
                "name": "Indique para quién es el paquete.",
                "line1": "Indique la calle y el número.",
                "line2": "Acórtelo.",
                "postal_code": "Indique el código postal tal como se escribe en las cartas.",
                "city": "Indique la ciudad.",
                "state": "Indique el estado o la provincia tal como se escribe en las cartas.",
                "country": "Elija un país al que hagamos envíos.",
                "phone": "Introduzca cifras, con + delante del prefijo del país.",
            },
        ),
        (
            "ja",
            {
                "name": "お受け取りになる方のお名前を入力してください。",
                "line1": "町名・番地を入力してください。",
                "line2": "もう少し短く入力してください。",
                "postal_code": "郵便番号を、郵便物に書くとおりに入力してください。",
                "city": "市区町村を入力してください。",
                "state": "都道府県または州を、郵便物に書くとおりに入力してください。",
                "country": "お届けできる国を選んでください。",
                "phone": "数字で入力し、国番号の前には + を付けてください。",
            },
        ),
    ],
)
async def test_what_to_change_in_an_address_is_said_in_the_language(
    world: World, locale: str, problems: dict[str, str]
) -> None:
    customer = Customer(world, locale, accepted="en")
    wrong = {"line2": "x" * 201, "postal_code": "€", "state": "\x07", "phone": "call me"}
    page = await customer.answer(await customer.asked(TO), TO, **wrong)
    assert page.status_code == 422
    listed = re.findall('<li><a href="#(.*)">(.*)</a></li>', page.text.replace("</li>", "</li>\n"))
    assert dict(listed) == problems
    assert dict(re.findall('<span class="problem" id="(.*)-problem">(.*)</span>', page.text)) == (
        problems
    )


async def test_countries_are_listed_as_people_look_for_them(world: World) -> None:
    german = await _no_address(Customer(world, "de", accepted=""))
    names = re.findall('<option value="[A-Z]{2}"[^>]*>(.*)</option>', german.text)
    near = names.index("Österreich")
    assert names[near - 1] == "Oman"
    assert "Deutschland" in names
    japanese = await _no_address(Customer(world, "ja", accepted=""))
    assert '<option value="DE">ドイツ</option>' in japanese.text
