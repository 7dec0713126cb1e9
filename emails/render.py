"""Turns an order into a mail, in its customer's language."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from babel import Locale
from babel.support import NullTranslations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic import BaseModel, ConfigDict

from domain.formats import format_day, format_money
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.mail import About, Branding, Facts
from domain.money import Money
from domain.orders import Deliverable, Fulfillment, Order, OrderLine, Question
from emails.languages import choose_locale, read_translations

_BLANK_LINES = re.compile(r"\n{3,}")
_NAME_LENGTH = 60
"""Characters of a product's name in a subject."""


class RenderedEmail(BaseModel):
    """The three parts of a mail."""

    model_config = ConfigDict(frozen=True)

    subject: str
    text: str
    html: str


class Pieces(BaseModel):
    """So many of something, to be listed."""

    model_config = ConfigDict(frozen=True)

    quantity: int
    description: str
    sku: str = ""


class Renderer:
    """Renders the mails of this folder.

    Args:
        links: Makes the links that customers get.
        branding: What mails show of the shop.
        shop_language: Of mails to customers whose own language is not there.
    """

    def __init__(self, links: Links, branding: Branding, *, shop_language: str) -> None:
        self._links = links
        self._branding = branding
        self._shop_language = shop_language
        self._environments = {
            language: _environment(translations)
            for language, translations in read_translations().items()
        }

    def render(
        self,
        name: str,
        order: Order,
        about: About | None = None,
        facts: Facts | None = None,
    ) -> RenderedEmail:
        """Renders the mail in folder `name`.

        Args:
            name: Which mail.
            order: Whose.
            about: Which part of the order it is about; by default all of it.
            facts: What it tells that does not stand in the order.
        """
        known = facts or Facts()
        locale = choose_locale(order.locale, self._shop_language, frozenset(self._environments))
        environment = self._environments[locale.language]
        order = _on_single_lines(order)
        values = {
            **self._values(order, locale),
            **_part(order, about or About()),
            **_moved(order, known),
            "default_at": known.default_at,
        }
        # One line, whatever a product is called: a line break would begin a new header.
        subject = _single_line(environment.get_template(f"{name}/subject.txt").render(values))
        text = environment.get_template(f"{name}/body.txt").render(values)
        return RenderedEmail(
            subject=subject,
            text=_BLANK_LINES.sub("\n\n", text).strip() + "\n",
            html=environment.get_template(f"{name}/body.html").render(values, subject=subject),
        )

    def _values(self, order: Order, locale: Locale) -> dict[str, Any]:
        """What every mail has."""

        def money(value: Money) -> str:
            return format_money(value, locale)

        def minus(value: Money) -> str:
            return money(value.model_copy(update={"amount_minor": -value.amount_minor}))

        def date(value: datetime) -> str:
            return format_day(value, locale)

        def file_url(line: OrderLine, item: Fulfillment, file: Deliverable) -> str:
            return self._links.download(_ref(order, line, item), file.value, file.expires_at)

        def answer_url(line: OrderLine, item: Fulfillment, question: str) -> str:
            return self._links.answer(_ref(order, line, item), Question(question))

        has_tax = order.tax is not None and order.tax.amount_minor != 0
        tax_added = has_tax and _tax_is_added(order)
        return {
            "lang": str(locale).replace("_", "-"),
            "shop": self._branding,
            "order": order,
            "money": money,
            "minus": minus,
            "date": date,
            "tax_added": tax_added,
            "tax_included": has_tax and not tax_added,
            "file_url": file_url,
            "answer_url": answer_url,
            "landing_url": self._links.own_order(order.session_id, order.account),
            "try_again_url": self._links.try_again(order.session_id, order.account),
        }


def _part(order: Order, about: About) -> dict[str, Any]:
    """What a mail about a part of an order has besides."""
    lines = order.lines if not about.fulfillments else _lines_of(order, about)
    values: dict[str, Any] = {
        "lines": lines,
        "products": _listed([line.description for line in lines]),
    }
    if about.parcel is not None:
        parcels = {each.number: each for each in lines[0].fulfillments[0].parcels}
        values |= {"parcel": parcels[about.parcel], "parcel_count": len(parcels)}
    return values


def _moved(order: Order, facts: Facts) -> dict[str, Any]:
    """What a mail about money or goods that go back has besides, as `Pieces`."""
    lines = {line.id: line for line in order.lines}
    reversal = facts.reversal
    taken = []
    if reversal is not None:
        concerned = reversal.lines
        if concerned is None:
            concerned = {line.id: line.quantity for line in order.lines}
        taken = [
            Pieces(quantity=concerned[line.id], description=line.description)
            for line in order.lines
            if concerned.get(line.id)
            and any(item.reversed or item.held for item in line.fulfillments)
        ]
    return {
        "refunded": reversal.amount if reversal is not None else None,
        "taken": taken,
        "sent_back": [
            Pieces(
                quantity=each.quantity,
                description=lines[each.line_item_id].description,
                sku=each.sku,
            )
            for each in facts.returns
        ],
        "return_number": facts.returns[0].id if facts.returns else "",
    }


def _lines_of(order: Order, about: About) -> tuple[OrderLine, ...]:
    parts = (
        line.model_copy(
            update={
                "fulfillments": tuple(
                    item
                    for item in line.fulfillments
                    if _ref(order, line, item) in about.fulfillments
                )
            }
        )
        for line in order.lines
    )
    return tuple(line for line in parts if line.fulfillments)


def _listed(products: Sequence[str]) -> str:
    """Names for a subject: the first one, and how many more."""
    first, *more = products or [""]
    if len(first) > _NAME_LENGTH:
        first = f"{first[: _NAME_LENGTH - 1]}…"
    return f"{first} (+{len(more)})" if more else first


def _environment(translations: NullTranslations) -> Environment:
    # .txt is escaped by no rule, .html by HTML's; a missing value is a defect, not a blank.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    return environment


def _ref(order: Order, line: OrderLine, item: Fulfillment) -> FulfillmentRef:
    return FulfillmentRef(session_id=order.session_id, line_item_id=line.id, kind=item.kind)


def _single_line(text: str) -> str:
    return " ".join(text.split())


def _on_single_lines(order: Order) -> Order:
    """The order with names that cannot pass for other lines of a plain text."""
    lines = tuple(
        line.model_copy(update={"description": _single_line(line.description)})
        for line in order.lines
    )
    name = _single_line(order.customer_name) if order.customer_name else None
    return order.model_copy(update={"lines": lines, "customer_name": name})


def _tax_is_added(order: Order) -> bool:
    """Whether tax stands on top of the prices, by which sum gives the total."""
    subtotal, discount, shipping, tax, total = (
        money.amount_minor if money else 0
        for money in (order.subtotal, order.discount, order.shipping, order.tax, order.total)
    )
    return subtotal - discount + shipping + tax == total
