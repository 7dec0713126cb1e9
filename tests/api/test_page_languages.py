"""Every page besides the order's own: in the language of Checkout, else of the browser."""

import html
import re
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from tests.harness import pages
from tests.harness.pages import Customer, Make
from tests.harness.world import World, open_world

OF_AN_ORDER: dict[Make, tuple[str, str]] = {
    pages.sold_out: ("Es tut uns leid: Dies ist ausverkauft", "Lo sentimos: esto se ha agotado"),
    pages.waits: ("Vielen Dank, dass Sie warten", "Gracias por esperar"),
    pages.refunded: ("Sie bekommen Ihr Geld zurück", "Le devolvemos su dinero"),
    pages.refunded_by_default: ("Sie bekommen Ihr Geld zurück", "Le devolvemos su dinero"),
    pages.there_again: ("Gute Nachricht: Es ist wieder da", "Buenas noticias: ya hay de nuevo"),
    pages.no_address: ("Wohin sollen wir es schicken?", "¿A dónde se lo enviamos?"),
    pages.new_address: ("Vielen Dank für die Adresse", "Gracias por la dirección"),
    pages.withdrawn: ("Dieser Link wird nicht mehr gebraucht", "Este enlace ya no hace falta"),
    pages.loaded_too_often: (
        "So oft heruntergeladen, wie es möglich ist",
        "Ya se ha descargado todas las veces posibles",
    ),
    pages.file_missing: (
        "Die Datei ist gerade nicht da",
        "El archivo no está disponible ahora mismo",
    ),
    pages.download_revoked: ("Dieser Download ist beendet", "Esta descarga ha terminado"),
    pages.download_expired: ("Dieser Download ist beendet", "Esta descarga ha terminado"),
    pages.not_for_sale: (
        "Diese Bestellung kann nicht noch einmal bezahlt werden",
        "Este pedido no se puede volver a pagar",
    ),
    pages.unfinished: (
        "Dieser Bezahlvorgang ist nicht abgeschlossen",
        "Este pago no está terminado",
    ),
}
OF_NO_ORDER: dict[Make, tuple[str, str]] = {
    pages.unknown: (
        "Wir konnten diese Bestellung nicht finden",
        "No hemos podido encontrar este pedido",
    ),
    pages.stripe_away: ("Einen Moment, bitte", "Un momento, por favor"),
}


def _heading(page: httpx.Response) -> str:
    [heading] = re.findall("<h1>(.*)</h1>", page.text)
    return html.unescape(str(heading))


def _lang(page: httpx.Response) -> str:
    [lang] = re.findall('<html lang="(.*)">', page.text)
    return str(lang)


def _name(value: object) -> str:
    return getattr(value, "__name__", "headings")


async def _open(customer: Customer, make: Make) -> httpx.Response:
    return await customer.get(await make(customer))


@pytest.mark.parametrize(("make", "headings"), OF_AN_ORDER.items(), ids=_name)
async def test_a_page_about_an_order_speaks_as_checkout_did(
    world: World, make: Make, headings: tuple[str, str]
) -> None:
    german, spanish = headings
    bought_in_german = await _open(Customer(world, "de", accepted="fr"), make)
    assert (_lang(bought_in_german), _heading(bought_in_german)) == ("de", german)
    any_language = Customer(world, None, accepted="xx,es-MX;q=0.9,en;q=0.1")
    browser_chose = await _open(any_language, make)
    assert (_lang(browser_chose), _heading(browser_chose)) == ("es-MX", spanish)


@pytest.mark.parametrize(("make", "headings"), OF_NO_ORDER.items(), ids=_name)
async def test_a_page_about_no_order_speaks_as_the_browser_does(
    world: World, make: Make, headings: tuple[str, str]
) -> None:
    for language, heading in zip(("de", "es"), headings, strict=True):
        page = await _open(Customer(world, None, accepted=language), make)
        assert (_lang(page), _heading(page)) == (language, heading)


async def test_else_a_page_speaks_as_the_shop_does(
    database_url: str, temporal_address: str, client: Client, tmp_path: Path
) -> None:
    ours = {"shop_language": "ja", "shop_name": "Kiosk & Sons"}
    async with open_world(database_url, client, temporal_address, tmp_path, **ours) as world:
        page = await _open(Customer(world, None, accepted="xx"), pages.no_address)
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
    for make in (pages.sold_out, pages.no_address):
        page = await _open(Customer(world, locale), make)
        assert default.format(day) in page.text


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
    page = await customer.answer(await pages.no_address(customer), **wrong)
    assert page.status_code == 422
    listed = re.findall('<li><a href="#(.*)">(.*)</a></li>', page.text.replace("</li>", "</li>\n"))
    assert dict(listed) == problems
    assert dict(re.findall('<span class="problem" id="(.*)-problem">(.*)</span>', page.text)) == (
        problems
    )


async def test_countries_are_listed_as_people_look_for_them(world: World) -> None:
    german = await _open(Customer(world, "de"), pages.no_address)
    names = re.findall('<option value="[A-Z]{2}"[^>]*>(.*)</option>', german.text)
    near = names.index("Österreich")
    assert names[near - 1] == "Oman"
    assert "Deutschland" in names
    japanese = await _open(Customer(world, "ja"), pages.no_address)
    assert '<option value="DE">ドイツ</option>' in japanese.text
