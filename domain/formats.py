"""Amounts as people of one language write them."""

from babel import Locale
from babel.core import UnknownLocaleError
from babel.numbers import format_currency, get_currency_precision

from domain.money import Money

FALLBACK_LOCALE = Locale("en")


def locale_of(checkout_locale: str | None) -> Locale:
    """The locale of a Checkout Session's `locale`; English where it names none we know.

    Stripe writes `pt-BR` and `zh-HK`, leaves it empty, or says `auto` when the browser chose.
    """
    if checkout_locale is None or checkout_locale == "auto":
        return FALLBACK_LOCALE
    try:
        return Locale.parse(checkout_locale, sep="-")
    except (ValueError, UnknownLocaleError):
        return FALLBACK_LOCALE


def format_money(money: Money, locale: Locale) -> str:
    """An amount with its currency: ¥1,200, 10,99 €, KWD1.250."""
    value = money.to_decimal()
    currency = money.currency.upper()
    # CLDR writes some currencies, such as ALL, without the fraction that Stripe charges:
    # its digits are taken unless they would round.
    digits_suffice = value == round(value, get_currency_precision(currency))
    return format_currency(value, currency, locale=locale, currency_digits=digits_suffice)
