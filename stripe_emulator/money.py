"""Amounts in minor units and how people read them.

See "Supported currencies", "Zero-decimal currencies", in Stripe's documentation.
"""

from typing import Final

from .errors import invalid

CURRENCIES: Final = (
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd",
    "bdt", "bgn", "bhd", "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad",
    "cdf", "chf", "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp",
    "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hkd", "hnl",
    "hrk", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr",
    "kmf", "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga",
    "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio",
    "nok", "npr", "nzd", "omr", "pab", "pen", "pgk", "php", "pkr", "pln", "pyg", "qar", "ron",
    "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp", "sle", "sos", "srd", "std",
    "szl", "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "uyu", "uzs",
    "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer", "zar", "zmw",
)  # fmt: skip
ZERO_DECIMAL = frozenset(
    {
        *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
        *("pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"),
    }
)
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
MINIMUM_CHARGE: Final = {
    "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17_500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200,
    "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
"""Less than this, in minor units, cannot be charged. See "Minimum and maximum charge amounts"."""
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def known_currency(text: str) -> str:
    """The currency's code in lower case.

    Raises:
        StripeError: If Stripe takes no such currency.
    """
    if text.lower() not in CURRENCIES:
        raise invalid(
            f"Invalid currency: {text.lower()}. Stripe currently supports these currencies:"
            f" {', '.join(CURRENCIES)}",
            "currency",
        )
    return text.lower()


def amount_too_small(amount_minor: int, currency: str) -> bool:
    """Whether this is more than nothing and less than can be charged."""
    return 0 < amount_minor < MINIMUM_CHARGE.get(currency, 1)


def exponent(currency: str) -> int:
    """How many decimal places the currency's amounts have on Stripe's API."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def display(amount_minor: int, currency: str) -> str:
    """The amount as a customer reads it: `$12.00`, `¥3,200`, `KWD 1.500`."""
    places = exponent(currency)
    text = f"{abs(amount_minor) / 10**places:,.{places}f}"
    symbol = SYMBOLS.get(currency, f"{currency.upper()} ")
    return f"{'-' if amount_minor < 0 else ''}{symbol}{text}"
