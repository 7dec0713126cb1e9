"""Custom fields that a merchant adds to the pay page. See "Add custom fields"."""

from typing import Any, Final

from ..errors import invalid, missing_parameter
from ..params import Params
from ..store import StripeObject

MAX_FIELDS: Final = 3
_MEMBERS: Final = {
    "dropdown": ("default_value", "options"),
    "numeric": ("default_value", "maximum_length", "minimum_length"),
    "text": ("default_value", "maximum_length", "minimum_length"),
}


def new_fields(sent: list[Params]) -> list[StripeObject]:
    """Fields without answers yet.

    Raises:
        StripeError: If there are more than three, or a dropdown has no options.
    """
    if len(sent) > MAX_FIELDS:
        raise invalid(f"At most {MAX_FIELDS} custom fields are allowed.", "custom_fields")
    for index, field in enumerate(sent):
        if field["type"] == "dropdown" and not field.get("dropdown", {}).get("options"):
            raise missing_parameter(f"custom_fields[{index}][dropdown][options]")
    return [_new(field) for field in sent]


def _new(sent: Params) -> StripeObject:
    kind = sent["type"]
    details: dict[str, Any] = {name: sent.get(kind, {}).get(name) for name in _MEMBERS[kind]}
    return {
        "key": sent["key"],
        "label": sent["label"],
        "optional": sent.get("optional", False),
        "type": kind,
        kind: {**details, "value": details["default_value"]},
    }


def answer(session: StripeObject, answers: dict[str, str]) -> None:
    """Take the customer's answers, by the fields' keys.

    Raises:
        StripeError: If a field that is not optional stays empty.
    """
    for field in session["custom_fields"]:
        details = field[field["type"]]
        details["value"] = answers.get(field["key"]) or details["value"]
        if details["value"] is None and not field["optional"]:
            raise invalid(
                f"{field['label']['custom']} is required", f"custom_fields[{field['key']}]"
            )
