"""What an HTTP answer's status means for trying again; one rule for every HTTP vendor."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from domain.errors import MisconfiguredError, PermanentError, TransientError

MAX_RETRY_AFTER = timedelta(hours=1)


def parse_retry_after(value: str | None, now: datetime | None = None) -> timedelta | None:
    """Reads a Retry-After header: seconds or an HTTP date; nonsense counts as absent.

    Longer waits than an hour are cut to one, so that a wrong clock strands no order.
    """
    if value is None:
        return None
    try:
        delay = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            delay = parsedate_to_datetime(value) - (now or datetime.now(UTC))
        except (ValueError, TypeError):
            return None
    return min(max(delay, timedelta()), MAX_RETRY_AFTER)


def error_for_status(
    vendor: str, status: int, detail: str, retry_after: str | None = None
) -> PermanentError | TransientError:
    """The error for an answer that is not a success.

    409, 425, 429 and 5xx may pass; 401 and 403 need a mended key or permission; anything
    else is refused for good.
    """
    message = f"{vendor} answered {status}: {detail}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return MisconfiguredError(f"{vendor}_unauthorized", message)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }:
        return TransientError(
            f"{vendor}_unavailable", message, retry_after=parse_retry_after(retry_after)
        )
    return PermanentError(f"{vendor}_refused", message)
