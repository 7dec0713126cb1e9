"""Identifiers in Stripe's form: a prefix that tells the type, then letters and digits."""

import random
import string

from .clock import current_clock

_ALPHABET = string.ascii_letters + string.digits
_RANDOM = random.SystemRandom()

OBJECT_ID_LENGTH = 24


def random_text(length: int) -> str:
    """`length` random letters and digits."""
    return "".join(_RANDOM.choices(_ALPHABET, k=length))


def new_id(prefix: str, length: int = OBJECT_ID_LENGTH) -> str:
    """A new identifier, such as `prod_` and 24 characters for the prefix `prod`."""
    return f"{prefix}_{random_text(length)}"


def now() -> int:
    """The emulator's time as Stripe writes it: whole seconds since 1970 in UTC."""
    return int(current_clock.get().time())
