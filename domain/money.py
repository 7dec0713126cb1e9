"""Money in Stripe's minor units.

Source: Stripe's page "Supported currencies" (zero-decimal, three-decimal and special cases).
"""

from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

ZERO_DECIMAL: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
THREE_DECIMAL: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# ISK and UGX have no minor unit today, yet Stripe sends them times 100 for backwards
# compatibility, so they are absent from ZERO_DECIMAL on purpose.


def minor_unit_digits(currency: str) -> int:
    """How many decimal digits Stripe's integer amounts carry in this currency."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


class Money(BaseModel):
    """An amount as Stripe sends it."""

    model_config = ConfigDict(frozen=True)

    amount_minor: int
    currency: str = Field(pattern=r"^[A-Za-z]{3}$")

    def to_decimal(self) -> Decimal:
        """The amount in major units: 1099 USD minor units are 10.99."""
        return Decimal(self.amount_minor).scaleb(-minor_unit_digits(self.currency))
