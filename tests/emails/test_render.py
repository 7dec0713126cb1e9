"""Every mail in every language, as text and as HTML."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from domain.mail import About, Branding
from domain.orders import DeliverableType, FulfillmentState, Order, Question
from domain.shipping import ParcelStatus
from emails.languages import read_translations
from emails.render import RenderedEmail
from tests.emails.samples import (
    BRANDING,
    EXPIRES_AT,
    LANGUAGES,
    LINKS,
    MAILS,
    SESSION_ID,
    about,
    delivered,
    facts,
    fulfillment,
    line,
    money,
    order,
    parcel,
    ref,
    renderer,
)

TRANSLATIONS = read_translations()
VOID = {"br", "img", "meta"}
TAGS = VOID | {"html", "head", "title", "body", "div", "p", "h1", "a", "table", "tr", "td", "code"}
ATTRIBUTES = {"lang", "charset", "name", "content", "style", "href", "src", "alt", "height"}
HOSTILE = """<script>alert("1")</script>'"><img src=x onerror=alert(1)>&amp;"""


class Page(HTMLParser):
    """Reads a mail as a mail program would; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def render(name: str, sold: Order, part: About | None = None) -> RenderedEmail:
    return renderer().render(name, sold, about(name) if part is None else part, facts(name))


def receipt(**values: Any) -> str:
    """A receipt's text, with plain spaces."""
    return _plain(render("receipt", order(**values)).text)


def _plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def _said(language: str, source: str) -> str:
    said: str = TRANSLATIONS[language].ugettext(source)
    return said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", MAILS)
def test_each_mail_renders_in_each_language(name: str, language: str) -> None:
    mail = render(name, order(locale=language))
    greeting = _said(language, "Hello %(name)s,") % {"name": "Jo Doe"}
    page = Page(mail.html)
    assert mail.subject == mail.subject.strip() != ""
    assert mail.text.startswith(f"{greeting}\n\n")
    assert greeting in page.text
    assert mail.subject in page.text
    assert f'<html lang="{language}">' in mail.html
    for text in (mail.subject, mail.text, page.text):
        assert not any(mark in text for mark in ("{{", "{%", "%(", "&amp;", "None"))
    assert "<" not in mail.text
    for mark in ("help@example.com", "Ada's Shop", "1 High Street, London"):
        assert mark in mail.text
        assert mark in page.text
    assert "background:#663399" in mail.html or "color:#663399" in mail.html
    assert "https://shop.example.com/logo.png" in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", MAILS)
def test_names_from_outside_stay_text_in_html(name: str, language: str) -> None:
    sold = order(locale=language, customer_name=HOSTILE)
    lines = tuple(
        each.model_copy(
            update={
                "description": HOSTILE,
                "fulfillments": tuple(
                    item.model_copy(
                        update={
                            "delivered": tuple(
                                thing.model_copy(update={"label": HOSTILE, "value": HOSTILE})
                                for thing in item.delivered
                            ),
                            "parcels": tuple(
                                box.model_copy(update={"tracking_number": HOSTILE})
                                for box in item.parcels
                            ),
                        }
                    )
                    for item in each.fulfillments
                ),
            }
        )
        for each in sold.lines
    )
    shop = Branding(name=HOSTILE, support_email=HOSTILE, postal_address=HOSTILE)
    mail = renderer(shop).render(
        name, sold.model_copy(update={"lines": lines}), about(name), facts(name)
    )
    page = Page(mail.html)
    assert HOSTILE in page.text
    assert page.tags <= TAGS
    assert page.attributes <= ATTRIBUTES
    assert HOSTILE in mail.text


@pytest.mark.parametrize("name", MAILS)
def test_a_name_with_line_breaks_begins_no_line_of_its_own(name: str) -> None:
    forged = "Mug\r\nTotal: $0.00\u2028Pay at https://evil.example.com"
    sold = order(customer_name=forged)
    lines = tuple(each.model_copy(update={"description": forged}) for each in sold.lines)
    mail = render(name, sold.model_copy(update={"lines": lines}))
    assert mail.subject.splitlines() == [mail.subject]
    starts = [text.strip() for text in mail.text.splitlines()]
    assert not any(text.startswith(("Total: $0.00", "Pay at")) for text in starts)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("parcel_delivered", About(fulfillments=(ref("li_mugs", "shipment"),))),
        ("a_mail_that_is_not_there", About()),
    ],
)
def test_what_is_missing_is_a_failure_not_a_blank(name: str, part: About) -> None:
    with pytest.raises((UndefinedError, LookupError)):
        render(name, order(), part)


@pytest.mark.parametrize(
    ("locale", "total", "day"),
    [
        ("en", "$167.00", "May 1, 2026"),
        ("en-GB", "US$167.00", "1 May 2026"),
        ("de", "167,00 $", "1. Mai 2026"),
        ("de-CH", "$ 167.00", "1. Mai 2026"),
        ("fr", "167,00 $US", "1 mai 2026"),
        ("es", "167,00 US$", "1 de mayo de 2026"),
        ("ja", "$167.00", "2026年5月1日"),
    ],
)
def test_money_and_dates_are_the_locales(locale: str, total: str, day: str) -> None:
    mail = render("receipt", order(locale=locale))
    assert f"({total})" in _plain(mail.subject)
    assert total in _plain(mail.text)
    assert total in _plain(Page(mail.html).text)
    assert day in mail.text


def test_a_currency_without_a_minor_unit_has_no_fraction() -> None:
    sums = {name: money(0, "jpy") for name in ("subtotal", "tax", "shipping", "discount")}
    text = receipt(locale="ja", lines=(), **sums | {"total": money(3600, "jpy")})
    assert "合計：￥3,600" in text  # noqa: RUF001 - as the Japanese write it


@pytest.mark.parametrize(
    ("locale", "shop_language", "language"),
    [
        ("de", "fr", "de"),
        ("es-419", "fr", "es"),
        ("fr-CA", "de", "fr"),
        ("pt-BR", "fr", "fr"),
        ("auto", "ja", "ja"),
        (None, "de-AT", "de"),
        ("xx", "nl", "en"),
        (None, "no language", "en"),
    ],
)
def test_the_language_falls_back(locale: str | None, shop_language: str, language: str) -> None:
    mail = renderer(BRANDING, shop_language).render("receipt", order(locale=locale))
    assert mail.subject.startswith(_said(language, "Your order is confirmed"))


def test_tax_that_is_added_stands_above_the_total() -> None:
    text = receipt()
    assert "Subtotal: $160.00\nDiscount: -$10.00\nShipping: $5.00\nTax: $12.00\nTotal: $167" in text
    assert "Tax included" not in text


def test_tax_that_is_included_stands_below_the_total() -> None:
    text = receipt(total=money(15500))
    assert "Shipping: $5.00\nTotal: $155.00\nTax included: $12.00" in text
    assert "Tax: " not in text


def test_sums_that_are_nothing_are_not_listed() -> None:
    nothing = money(0)
    text = receipt(
        subtotal=money(16000), discount=nothing, shipping=nothing, tax=nothing, total=money(16000)
    )
    assert "\nTotal: $160.00" in text
    for name in ("Subtotal", "Discount", "Shipping", "Tax"):
        assert f"{name}: " not in text


def test_what_the_customer_saw_is_told_in_its_currency() -> None:
    mail = render("receipt", order(presentment=money(15400, "eur")))
    assert "(€154.00)" in mail.subject
    assert "Total: $167.00\nPaid in your currency: €154.00" in mail.text.replace(
        "Tax: $12.00\n", ""
    )
    assert "€154.00" in Page(mail.html).text


@pytest.mark.parametrize(
    ("type_", "value", "label", "text", "html"),
    [
        (
            DeliverableType.LINK,
            "https://a.example.com/?x=1&y=2",
            "",
            "Your access: https://a.example.com/?x=1&y=2 (valid until May 1, 2027)",
            "Your access (valid until May 1, 2027)",
        ),
        (
            DeliverableType.KEY,
            "AAAA-BBBB",
            "Pro key",
            "Pro key: AAAA-BBBB (valid until May 1, 2027)",
            "Pro key: AAAA-BBBB (valid until May 1, 2027)",
        ),
        (
            DeliverableType.FILE,
            "guide.pdf",
            "The guide",
            "Download The guide: https://shop.example.com/downloads/",
            "Download The guide (valid until May 1, 2027)",
        ),
        (
            DeliverableType.TEXT,
            "Seat 12 A",
            "",
            "Seat 12 A (valid until May 1, 2027)",
            "Seat 12 A (valid until May 1, 2027)",
        ),
    ],
)
def test_each_deliverable_is_handed_over(
    type_: DeliverableType, value: str, label: str, text: str, html: str
) -> None:
    item = delivered("any", type_, value, label=label, expires_at=EXPIRES_AT)
    mail = render("receipt", order(lines=(line("li_1", "Thing", item),)))
    assert f"\n   {text}" in mail.text
    page = Page(mail.html)
    assert html in " ".join(page.text.split())
    if type_ is DeliverableType.LINK:
        assert value in page.links
    if type_ is DeliverableType.FILE:
        url = LINKS.download(ref("li_1", "any"), value, EXPIRES_AT)
        assert url in mail.text
        assert url in page.links


def test_a_parcel_is_told_with_its_tracking() -> None:
    for status, said in {
        ParcelStatus.PLANNED: "being packed",
        ParcelStatus.BOOKED: "ready to ship",
        ParcelStatus.IN_TRANSIT: "on its way",
        ParcelStatus.DELIVERED: "delivered",
        ParcelStatus.EXCEPTION: "delivery problem",
    }.items():
        item = fulfillment("shipment", FulfillmentState.FULFILLED, parcels=(parcel(1, status),))
        mail = render("receipt", order(lines=(line("li_1", "Mug", item),)))
        assert f"Your parcel: {said}, tracking number TRACK1" in mail.text
        page = Page(mail.html)
        assert f"Your parcel: {said}, tracking number TRACK1" in " ".join(page.text.split())
        assert "https://carrier.example.com/TRACK1" in page.links


@pytest.mark.parametrize("name", ["parcel_in_transit", "parcel_delivered", "parcel_exception"])
def test_a_mail_about_a_parcel_says_which(name: str) -> None:
    mail = render(name, order())
    assert "2 x Mug\nParcel 1 of 2\n" in mail.text
    assert "Tracking number: TRACK1" in mail.text
    assert "TRACK2" not in mail.text
    assert "https://carrier.example.com/TRACK1" in Page(mail.html).links


def test_what_waits_says_for_what() -> None:
    text = receipt()
    for said in (
        "The carrier does not know your address. Please give us another one: https://",
        "This has sold out. Wait for it, or have your money back: https://",
        "This has sold out. You get it as soon as there is more.",
        "We are preparing this for you.",
        "Done.",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("name", "line_item", "question"),
    [
        ("address_needed", "li_address", Question.ADDRESS),
        ("out_of_stock", "li_stock", Question.OUT_OF_STOCK),
    ],
)
def test_a_question_comes_with_its_signed_link(
    name: str, line_item: str, question: Question
) -> None:
    mail = render(name, order())
    url = LINKS.answer(ref(line_item, "shipment"), question)
    assert url in mail.text
    assert url in Page(mail.html).links
    assert "May 15, 2026" in mail.text


def test_without_a_default_the_question_waits() -> None:
    mail = renderer().render("out_of_stock", order(), about("out_of_stock"), None)
    assert "If we do not hear from you, we send it as soon as there is more." in mail.text


def test_a_delivery_tells_of_its_part_only() -> None:
    mail = render("delivery", order())
    assert mail.subject == "Ready for you: The bundle"
    assert "AAAA-BBBB" in mail.text
    assert "Mug" not in mail.text
    assert "$" not in mail.text


def test_a_subject_names_the_first_of_many_products_in_short() -> None:
    bundle, mugs = order().lines[:2]
    long = bundle.model_copy(update={"description": "x" * 500})
    part = About(fulfillments=(ref("li_bundle", "access"), ref("li_mugs", "shipment")))
    mail = render("delivery", order(lines=(long, mugs)), part)
    assert mail.subject == f"Ready for you: {'x' * 59}… (+1)"


def test_a_lost_payment_is_paid_again_by_a_link() -> None:
    mail = render("payment_failed", order(payment_status="unpaid"))
    url = f"https://shop.example.com/try-again?session_id={SESSION_ID}"
    assert url in mail.text
    assert url in Page(mail.html).links
    assert "AAAA-BBBB" not in mail.text


def test_a_shop_that_says_nothing_of_itself_shows_nothing() -> None:
    mail = renderer(Branding()).render("receipt", order(customer_name=None))
    assert mail.text.startswith("Hello,\n")
    assert re.search(rf"session_id={SESSION_ID}&token=\S+\n\Z", mail.text)
    assert "<img" not in mail.html
    assert "mailto:" not in mail.html
