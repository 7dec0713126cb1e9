"""The form in which a customer gives another address.

What to change in a field its template says, in the customer's language.
"""

import unicodedata
from collections.abc import Collection, Mapping
from typing import Annotated

from babel import Locale
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from domain.checkout import Address

FIELDS = ("name", "line1", "line2", "postal_code", "city", "state", "country", "phone")


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("has characters that do not print")
    return value


_Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)]
_Needed = Annotated[_Text, StringConstraints(min_length=1)]


class NewAddress(BaseModel):
    """What a customer has entered, and it makes sense.

    Whether there is such an address, the carrier knows.
    """

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    name: _Needed
    line1: _Needed
    line2: _Text = ""
    postal_code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 -]{0,12}$")] = ""
    city: _Needed
    state: _Text = ""
    country: str
    phone: Annotated[str, StringConstraints(pattern=r"^(\+?[0-9][0-9 ()./-]{4,30})?$")] = ""

    @property
    def address(self) -> Address:
        """As orders hold it."""
        parts = self.model_dump(exclude={"phone"})
        return Address(**{name: text or None for name, text in parts.items()})


def read_address(
    entered: Mapping[str, str], countries: Collection[str]
) -> tuple[NewAddress | None, tuple[str, ...]]:
    """Checks what was entered.

    Args:
        entered: The form's fields.
        countries: Where parcels may go.

    Returns:
        The address, or None with the fields to change, from top to bottom.
    """
    wrong = set() if entered.get("country") in countries else {"country"}
    address = None
    try:
        address = NewAddress.model_validate(entered)
    except ValidationError as error:
        wrong |= {str(problem["loc"][0]) for problem in error.errors()}
    return (None if wrong else address), tuple(name for name in FIELDS if name in wrong)


def country_names(countries: Collection[str], locale: Locale) -> dict[str, str]:
    """What countries are called, by code, as people look for them: Österreich beside Oman."""
    names = {code: locale.territories.get(code, code) for code in countries}
    return dict(sorted(names.items(), key=lambda country: _as_sorted(country[1])))


def _as_sorted(name: str) -> str:
    """A name without accents and capitals; Japanese stays in the order of its characters."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
