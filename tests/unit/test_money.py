"""Amounts in Stripe's minor units, shown as people write them."""

import pytest
from babel import Locale

from domain.formats import format_money, locale_of
from domain.money import Money


@pytest.mark.parametrize(
    ("amount_minor", "currency", "locale", "expected"),
    [
        (1099, "usd", "en", "$10.99"),
        (1099, "eur", "de", "10,99 €"),
        (1200, "jpy", "en", "¥1,200"),
        (1200, "jpy", "ja", "￥1,200"),
        (1250, "kwd", "en", "KWD1.250"),
        (-500, "usd", "en", "-$5.00"),
        (0, "usd", "en", "$0.00"),
        # Sent times one hundred, though no one pays a hundredth of them.
        (100_000, "isk", "en", "ISK1,000"),
        (50_000, "ugx", "en", "UGX500"),
        # CLDR drops the fraction of a lek, Stripe charges it.
        (1050, "all", "en", "ALL10.50"),
        (1000, "all", "en", "ALL10"),
        (1999, "huf", "en", "HUF19.99"),
    ],
)
def test_amounts(amount_minor: int, currency: str, locale: str, expected: str) -> None:
    shown = format_money(Money(amount_minor=amount_minor, currency=currency), Locale(locale))
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize(
    ("checkout_locale", "expected"),
    [
        (None, "en"),
        ("auto", "en"),
        ("de", "de"),
        ("pt-BR", "pt_BR"),
        ("zh-HK", "zh_Hant_HK"),
        ("es-419", "es_419"),
        ("fil", "fil"),
        ("tlh-KX-nonsense", "en"),
        ("", "en"),
    ],
)
def test_locales_of_checkout_sessions(checkout_locale: str | None, expected: str) -> None:
    assert str(locale_of(checkout_locale)) == expected
