"""Turns an order into a mail: money and dates as its customer's language writes them."""

from datetime import datetime
from pathlib import Path

from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic import BaseModel, ConfigDict

from domain.formats import format_money, locale_of
from domain.money import Money
from domain.orders import Order


class RenderedEmail(BaseModel):
    """The three parts of a mail."""

    model_config = ConfigDict(frozen=True)

    subject: str
    text: str
    html: str


class Renderer:
    """Renders the mails of this folder.

    Args:
        public_url: Where the service is reached; the landing page is linked below it.
    """

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url
        # .txt is escaped by no rule, .html by HTML's; a missing value is a defect, not a blank.
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, order: Order) -> RenderedEmail:
        """Renders the mail in folder `name` for an order."""
        locale = locale_of(order.locale)

        def money(value: Money) -> str:
            return format_money(value, locale)

        def date(value: datetime) -> str:
            return format_date(value, format="long", locale=locale)

        account = f"&account={order.account}" if order.account else ""
        names_order = f"session_id={order.session_id}{account}"
        values = {
            "order": order,
            "money": money,
            "tax_added": _tax_is_added(order),
            "date": date,
            "landing_url": f"{self._public_url}/after-checkout?{names_order}",
            "try_again_url": f"{self._public_url}/try-again?{names_order}",
        }
        subject = self._environment.get_template(f"{name}/subject.txt").render(values)
        return RenderedEmail(
            # One line, whatever a product is called: a line break would begin a new header.
            subject=" ".join(subject.split()),
            text=self._environment.get_template(f"{name}/body.txt").render(values),
            html=self._environment.get_template(f"{name}/body.html").render(values),
        )


def _tax_is_added(order: Order) -> bool:
    """Whether tax stands on top of the prices, by which sum gives the total."""
    subtotal, discount, shipping, tax, total = (
        money.amount_minor if money else 0
        for money in (order.subtotal, order.discount, order.shipping, order.tax, order.total)
    )
    return subtotal - discount + shipping + tax == total
