"""How long delayed payments are waited for."""

from datetime import timedelta

import pytest

from workflows.options import payment_patience, poll_delay

# What Stripe's pages say until the outcome of a payment is known, at the latest: business days
# of debits with a weekend for every five, days of vouchers as long as a merchant may let them run.
LATEST = {
    "us_bank_account": timedelta(days=4 + 2),
    "acss_debit": timedelta(days=5 + 2),
    "au_becs_debit": timedelta(days=3 + 2),
    "bacs_debit": timedelta(days=7 + 4),
    "sepa_debit": timedelta(days=14 + 6),
    "boleto": timedelta(days=60 + 2),
    "konbini": timedelta(days=60),
    "multibanco": timedelta(days=7 + 4),
}


@pytest.mark.parametrize("method", LATEST)
def test_a_payment_is_waited_for_longer_than_it_can_take(method: str) -> None:
    assert LATEST[method] < payment_patience(method) < LATEST[method] * 3


@pytest.mark.parametrize("method", [None, "customer_balance", "what_comes_next_year"])
def test_what_has_no_known_end_is_waited_for_long(method: str | None) -> None:
    assert payment_patience(method) == timedelta(days=90)


def test_the_interval_widens_to_a_day() -> None:
    delays = [poll_delay(polls) for polls in range(8)]
    assert delays == sorted(delays)
    assert delays[0] == timedelta(hours=1)
    assert delays[-1] == timedelta(days=1)
    assert poll_delay(10_000) == timedelta(days=1)
