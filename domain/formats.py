"""Amounts and days as people of one language write them."""

from datetime import datetime
from typing import Annotated

from babel import Locale, dates
from babel.core import UnknownLocaleError
from babel.numbers import format_currency, get_currency_precision
from pydantic import Field

from domain.money import Money

FALLBACK_LOCALE = Locale("en")
StorableText = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""What PostgreSQL can store."""


def parse_locale(name: str | None) -> Locale | None:
    """The locale that Stripe, or a setting, names as `pt-BR`; None where it names none we know.

    Stripe leaves it empty, or says `auto`, when the browser chose.
    """
    if name is None or name == "auto":
        return None
    try:
        return Locale.parse(name, sep="-")
    except (ValueError, UnknownLocaleError):
        return None


def locale_of(checkout_locale: str | None) -> Locale:
    """The locale of a Checkout Session's `locale`; English where it names none we know."""
    return parse_locale(checkout_locale) or FALLBACK_LOCALE


def format_money(money: Money, locale: Locale) -> str:
    """An amount with its currency: ¥1,200, 10,99 €, KWD1.250."""
    value = money.to_decimal()
    currency = money.currency.upper()
    # CLDR writes some currencies, such as ALL, without the fraction that Stripe charges:
    # its digits are taken unless they would round.
    digits_suffice = value == round(value, get_currency_precision(currency))
    return format_currency(value, currency, locale=locale, currency_digits=digits_suffice)


def format_day(value: datetime, locale: Locale) -> str:
    """The day of a time, in UTC: May 1, 2026."""
    return dates.format_date(value, format="long", locale=locale)
