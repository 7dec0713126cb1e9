"""Settings for commands that go on with what is there where others refuse to start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from settings import Settings, load

_STAND_INS: Mapping[str, Any] = {
    "stripe_api_key": "sk_test_missing",
    "database_url": "postgresql://missing.invalid/missing",
    "smtp_url": "smtp://missing.invalid",
    "mail_from": "missing@example.com",
    "carrier_url": "https://missing.invalid",
    "carrier_api_key": "missing",
    "public_url": "https://missing.invalid",
    "operator_token": "missing-missing-missing",
    "signing_secrets": "missing-missing-missing-missing-missing",
}
"""What stands where a required setting is missing or wrong; nothing is ever asked there."""


@dataclass(frozen=True)
class PartialSettings:
    """Settings of which some may only be stand-ins.

    Attributes:
        values: All of them; those in `problems` are not to be used.
        problems: What is wrong with a setting, by the name of its field.
    """

    values: Settings
    problems: Mapping[str, str]


def read_partially() -> PartialSettings:
    """Reads the environment and `.env`, as `settings.load` does, past whatever is wrong.

    Ends the program, as `settings.load` does, where it cannot tell which setting is at fault.
    """
    problems: dict[str, str] = {}
    while True:
        try:
            values = Settings.model_validate({name: _stand_in(name) for name in problems})
        except ValidationError as error:
            found = _problems(error)
            if not found.keys() <= Settings.model_fields.keys() - problems.keys():
                load(Settings)
            problems |= found
        else:
            return PartialSettings(values, problems)


def _stand_in(name: str) -> object:
    return _STAND_INS.get(name, Settings.model_fields[name].default)


def _problems(error: ValidationError) -> dict[str, str]:
    found = {}
    for problem in error.errors():
        text = "missing" if problem["type"] == "missing" else problem["msg"]
        text = text.removeprefix("Value error, ")
        if problem["loc"]:
            name = str(problem["loc"][0])
        else:
            # What only shows in several settings together begins with the name of one.
            name, _, text = text.partition(": ")
        found[name.lower()] = text
    return found
