"""Every timeout and retry of the workflow, by name.

A step first runs as a local activity, inside the workflow task: half the latency and a
fraction of the history. Does that try fail for a passing reason, the step goes on as a
regular activity, which the Temporal Web UI shows with its tries and last error, and which
outlives the worker. Both carry the same idempotency key.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import RetryPolicy


@dataclass(frozen=True)
class StepOptions:
    """How often and how long one kind of activity is tried."""

    timeout: timedelta
    """The most that one try may take."""
    give_up_after: timedelta
    """When a step that keeps failing becomes action required."""
    local_timeout: timedelta
    """The most that the first, local try may take."""


RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=10),
)
"""How a regular activity is repeated, within its `give_up_after`."""
FALLBACK_DELAY = timedelta(seconds=1)
"""Between a failed local try and the first regular one, unless the other side named a time."""

STRIPE = StepOptions(
    timeout=timedelta(seconds=60),
    give_up_after=timedelta(days=3),
    local_timeout=timedelta(seconds=5),
)
DATABASE = StepOptions(
    timeout=timedelta(seconds=30),
    give_up_after=timedelta(days=3),
    local_timeout=timedelta(seconds=5),
)
CARRIER = StepOptions(
    timeout=timedelta(seconds=60),
    give_up_after=timedelta(days=1),
    local_timeout=timedelta(seconds=5),
)
MAIL = StepOptions(
    # Longer than the mailer waits for all answers of a mail server together (four, of ten
    # minutes each): a try that is cut off while the server says yes would mail twice.
    timeout=timedelta(minutes=45),
    give_up_after=timedelta(days=1),
    local_timeout=timedelta(minutes=45),
)
"""Each step's give-up time is far beyond a usual outage of the other side."""

RECEIPT_PATIENCE = timedelta(minutes=10)
"""How long a receipt waits for deliveries that are being retried, to tell of them too."""

FIRST_PAYMENT_POLL = timedelta(hours=1)
LONGEST_PAYMENT_POLL = timedelta(days=1)
PAYMENT_PATIENCE = timedelta(days=90)
"""How long a delayed payment may take until a person is asked; Konbini takes up to 60 days."""


def payment_poll_delay(polls: int) -> timedelta:
    """How long to wait for an event before the session is looked at once more."""
    return min(FIRST_PAYMENT_POLL * (1 << min(polls, 10)), LONGEST_PAYMENT_POLL)
