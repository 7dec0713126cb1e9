"""Idempotency keys. See "Idempotent requests" in Stripe's API reference.

The answer to a request that began to be executed is kept for a day, errors included; a
request whose parameters failed validation leaves nothing behind.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from .clock import current_clock
from .errors import StripeError

KEPT_S: Final = 24 * 3600
MAX_KEY_LENGTH: Final = 255


@dataclass(slots=True)
class _Kept:
    path: str
    fingerprint: str
    at: float
    answer: tuple[int, bytes] | None = None


class IdempotencyKeys:
    """The keys used within the last day."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def begin(
        self, account_id: str, key: str, path: str, fingerprint: str
    ) -> tuple[int, bytes] | None:
        """Claim a key, or give the status and body that were answered under it before.

        Raises:
            StripeError: If the key is too long, or belongs to another request or to one still
                under way.
        """
        if len(key) > MAX_KEY_LENGTH:
            raise StripeError(
                f"Idempotency keys can have up to {MAX_KEY_LENGTH} characters.",
                error_type="idempotency_error",
            )
        kept = self._kept.get((account_id, key))
        at = current_clock.get().time()
        if kept is None or kept.at < at - KEPT_S:
            self._kept[account_id, key] = _Kept(path, fingerprint, at)
            return None
        if kept.path != path:
            raise StripeError(
                "Keys for idempotent requests can only be used for the same endpoint they were"
                f" first used for ('{path}' vs '{kept.path}'). Try using a key other than '{key}'"
                " if you meant to execute a different request.",
                error_type="idempotency_error",
            )
        if kept.fingerprint != fingerprint:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they"
                f" were first used with. Try using a key other than '{key}' if you meant to"
                " execute a different request.",
                error_type="idempotency_error",
            )
        if kept.answer is None:
            raise StripeError(
                "There is currently another in-progress request using this Idempotent Key"
                " (that probably means you submitted twice, and the other request is still"
                f" going through): {key}. Please try again later.",
                status=HTTPStatus.CONFLICT,
                error_type="idempotency_error",
                code="idempotency_key_in_use",
            )
        return kept.answer

    def finish(self, account_id: str, key: str, status: int, body: bytes) -> None:
        """Keep the answer under its key."""
        self._kept[account_id, key].answer = (status, body)

    def release(self, account_id: str, key: str) -> None:
        """Give up a key whose request was refused before it was executed."""
        self._kept.pop((account_id, key), None)

    def clear(self) -> None:
        """Forget all keys."""
        self._kept.clear()
