"""License keys: how they are made, written and compared, and what software hears of one."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""No letter that is mistaken for another or for a digit; source: Crockford's Base32."""
MAX_KEY_LENGTH = 200
_PLACEHOLDER = "X"
_MIN_RANDOM = 12
"""Placeholders; each is five random bits, and sixty cannot be guessed over the network."""
_FORMAT = re.compile(r"[A-Z0-9-]{1,100}")
_SEPARATORS = re.compile(r"[^A-Z0-9]")


class LicenseProblem(StrEnum):
    """Why a key that was handed out does not license anything now."""

    DISABLED = "disabled"
    EXPIRED = "expired"
    LIMIT_REACHED = "limit_reached"
    """It is active on as many instances as it may be."""


class License(BaseModel):
    """A key that was handed out, as software hears of it."""

    model_config = ConfigDict(frozen=True)

    valid: bool
    problem: LicenseProblem | None = None
    active: bool
    """Whether it is activated for the instance that asks."""
    activations: int
    activation_limit: int | None
    """None: any number."""
    expires_at: datetime | None
    """None: it does not end by itself."""


def check_format(value: str) -> str:
    """The form of keys that are to be made, as in `ACME-XXXXX-XXXXX-XXXXX`, as it is.

    Each X stands for a random letter or digit.

    Raises:
        ValueError: It is none, or its keys could be guessed.
    """
    if _FORMAT.fullmatch(value) is None:
        raise ValueError("must be capital letters, digits and hyphens, with X for what is random")
    if value.count(_PLACEHOLDER) < _MIN_RANDOM:
        raise ValueError(f"needs {_MIN_RANDOM} X at least, or its keys could be guessed")
    return value


def make_key(form: str) -> str:
    """A new key of that form."""
    return "".join(
        secrets.choice(ALPHABET) if letter == _PLACEHOLDER else letter for letter in form
    )


def normal_form(key: str) -> str:
    """A key without what people type otherwise: case, hyphens and spaces. Empty for no key."""
    return _SEPARATORS.sub("", key.upper())


def parse_pool(lines: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Reads keys, one on each line; empty lines do not count.

    Returns:
        The keys as they are written, by their normal form, and what is wrong, with its line.
    """
    keys: dict[str, str] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        key = line.strip()
        if not key:
            continue
        if len(key) > MAX_KEY_LENGTH or not key.isprintable() or not normal_form(key):
            problems.append(f"line {number}: a key has letters or digits, {MAX_KEY_LENGTH} at most")
        elif keys.setdefault(normal_form(key), key) != key:
            problems.append(f"line {number}: differs from an earlier key by case or hyphens only")
    return keys, problems
