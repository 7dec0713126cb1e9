"""Which HTTP answers are worth another try, and when."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.http_errors import error_for_status, parse_retry_after
from domain.errors import FulfillmentError, MisconfiguredError, PermanentError, TransientError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, PermanentError),
        (402, PermanentError),
        (404, PermanentError),
        (422, PermanentError),
        (302, PermanentError),
        (401, MisconfiguredError),
        (403, MisconfiguredError),
        (408, TransientError),
        (409, TransientError),
        (425, TransientError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
def test_status(status: int, expected: type[FulfillmentError]) -> None:
    assert type(error_for_status("carrier", status, "detail")) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("7", timedelta(seconds=7)),
        ("0.5", timedelta(seconds=0.5)),
        ("-3", timedelta()),
        ("inf", None),
        ("999999999", timedelta(hours=1)),
        ("Mon, 23 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Mon, 23 Nov 2026 11:00:00 GMT", timedelta()),
        ("Mon, 23 Nov 2026 12:00:30", None),
    ],
)
def test_retry_after(value: str | None, expected: timedelta | None) -> None:
    assert parse_retry_after(value, NOW) == expected
