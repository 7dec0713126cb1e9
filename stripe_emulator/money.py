"""Amounts in minor units and how people read them.

See "Supported currencies", "Zero-decimal currencies", in Stripe's documentation.
"""

ZERO_DECIMAL = frozenset(
    {
        *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
        *("pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"),
    }
)
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


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
