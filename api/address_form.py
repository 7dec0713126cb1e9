"""The form in which a customer gives another address."""

from collections.abc import Collection, Mapping
from typing import Annotated

from babel import Locale
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from domain.checkout import Address

FIELDS = ("name", "line1", "line2", "postal_code", "city", "state", "country", "phone")
_PROBLEMS = {
    "name": "Enter who the parcel is for.",
    "line1": "Enter the street and the house number.",
    "line2": "Shorten this.",
    "postal_code": "Enter a postal code as it is written on letters.",
    "city": "Enter the city.",
    "state": "Enter the state or province as it is written on letters.",
    "country": "Choose a country that we ship to.",
    "phone": "Enter digits, with + in front of the country's code.",
}


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
) -> tuple[NewAddress | None, dict[str, str]]:
    """Checks what was entered.

    Args:
        entered: The form's fields.
        countries: Where parcels may go.

    Returns:
        The address, or None with what to change, by field.
    """
    problems: dict[str, str] = {}
    if entered.get("country") not in countries:
        problems["country"] = _PROBLEMS["country"]
    try:
        address = NewAddress.model_validate(entered)
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            problems[name] = _PROBLEMS[name]
        address = None
    return (None if problems else address), {
        name: problems[name] for name in FIELDS if name in problems
    }


def country_names(countries: Collection[str]) -> dict[str, str]:
    """What countries are called, by code, as people look for them."""
    names = Locale("en").territories
    return dict(sorted(((code, names.get(code, code)) for code in countries), key=lambda c: c[1]))
