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
    """The most that the first, local try may take; zero: there is none."""
    heartbeat: timedelta | None = None
    """How long a regular try may be silent until its worker counts as dead; None: its timeout."""


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
REVERSAL = StepOptions(
    timeout=timedelta(seconds=60),
    give_up_after=timedelta(days=3),
    # It asks Stripe half a dozen times, and nobody waits for it.
    local_timeout=timedelta(0),
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
SERVICE = StepOptions(
    # Longer than the service may take to answer.
    timeout=timedelta(seconds=60),
    give_up_after=timedelta(days=3),
    local_timeout=timedelta(seconds=5),
)
MAIL = StepOptions(
    # Longer than the mailer waits for all answers of a mail server together (four, of ten
    # minutes each): a try that is cut off while the server says yes would mail twice.
    timeout=timedelta(minutes=45),
    give_up_after=timedelta(days=1),
    local_timeout=timedelta(minutes=45),
    # Longer than a worker is frozen or cut off without being given up: a try that goes on all the
    # same mails what the next one mails too.
    heartbeat=timedelta(minutes=2),
)
"""Each step's give-up time is far beyond a usual outage of the other side."""

SWEEP_EVERY = timedelta(minutes=15)
SWEEP_LIMIT = timedelta(hours=6)
"""The most that one sweep may take; the next goes on where the last complete one ended."""
SWEEP = StepOptions(
    # A page of a hundred is started within five seconds, unless Temporal is slow to accept.
    timeout=timedelta(minutes=10),
    give_up_after=timedelta(hours=1),
    local_timeout=timedelta(0),
    heartbeat=timedelta(minutes=1),
)

MESSAGE_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between the tries to deliver a message.

Source: the Standard Webhooks specification, "Deliverability and reliability".
"""
MESSAGE_JITTER = 0.1
"""By how much of itself each of them may be longer."""
MESSAGE_TIMEOUT = timedelta(seconds=60)
"""The most that one try may take, its log included."""

DESK = StepOptions(
    # An operator waits for the answer.
    timeout=timedelta(seconds=10),
    give_up_after=timedelta(seconds=30),
    local_timeout=timedelta(0),
)

ALERT_GATHERING = timedelta(minutes=15)
"""Between two mails to operators: what is stuck meanwhile, comes in one."""

RECEIPT_PATIENCE = timedelta(minutes=10)
"""How long a receipt waits for deliveries that are being retried, to tell of them too."""

_FIRST_ALARM_DELAY = timedelta(minutes=5)
_LONGEST_ALARM_DELAY = timedelta(hours=1)


def alarm_delay(tries: int) -> timedelta:
    """How long a step waits by itself after a wrong key or setting, for its n-th try."""
    return min(_FIRST_ALARM_DELAY * (1 << min(tries - 1, 10)), _LONGEST_ALARM_DELAY)


_FIRST_POLL = timedelta(hours=1)
_LONGEST_POLL = timedelta(days=1)
_LONGEST_WATCH = timedelta(days=8)
DEFAULT_PAYMENT_PATIENCE = timedelta(days=90)
PAYMENT_PATIENCE = {
    # Debits: Stripe's time until success is known, doubled for holidays and late returns.
    "us_bank_account": timedelta(days=10),  # ACH: up to 4 business days
    "acss_debit": timedelta(days=14),  # up to 5 business days
    "au_becs_debit": timedelta(days=10),  # 3 business days
    "bacs_debit": timedelta(days=16),  # 3 business days, 7 with a new mandate
    "nz_bank_account": timedelta(days=10),  # 2 business days
    "sepa_debit": timedelta(days=28),  # 5 to 14 business days
    "sofort": timedelta(days=28),  # as SEPA: 2 to 14 days
    # Vouchers: how long the merchant may let them run at most, and some days to clear.
    "boleto": timedelta(days=65),  # expires after up to 60 days
    "konbini": timedelta(days=65),  # expires after up to 60 days
    "multibanco": timedelta(days=14),  # expires after 7 days
    "oxxo": timedelta(days=12),  # expires after up to 7 days
    # The customer sends it whenever they like.
    "customer_balance": DEFAULT_PAYMENT_PATIENCE,
}
"""How long a delayed payment may take until a person is asked, by payment method type.

Source: Stripe's pages on each payment method, "Payment notification" and "Expiration".
"""


def payment_patience(payment_method_type: str | None) -> timedelta:
    """How long the payment of a completed session is waited for."""
    return PAYMENT_PATIENCE.get(payment_method_type or "", DEFAULT_PAYMENT_PATIENCE)


def poll_delay(polls: int) -> timedelta:
    """How long to wait for news before it is looked for once more."""
    return min(_FIRST_POLL * (1 << min(polls, 10)), _LONGEST_POLL)


def watch_delay(polls: int) -> timedelta:
    """How long to wait until a reversal is looked at that no event tells of: ten times or so."""
    return min(_FIRST_POLL * (1 << min(polls, 10)), _LONGEST_WATCH)
