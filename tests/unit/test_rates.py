"""By which of a carrier's rates a parcel goes."""

import pytest

from domain.errors import PermanentError
from domain.money import Money
from domain.shipping import Rate, RateOrder, RateRule, choose_rate


def rate(service: str, cents: int, days: int | None, currency: str = "usd") -> Rate:
    price = Money(amount_minor=cents, currency=currency)
    return Rate(id=service, carrier="USPS", service=service, price=price, delivery_days=days)


GROUND = rate("Ground", 607, 3)
PRIORITY = rate("Priority", 742, 2)
EXPRESS = rate("Express", 3415, 1)
SLOW = rate("Sea", 607, 40)
SILENT = rate("Silent", 100, None)
DEARER_EXPRESS = rate("ExpressPlus", 5000, 1)
OFFERED = (SLOW, PRIORITY, DEARER_EXPRESS, EXPRESS, GROUND)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        (RateRule(), GROUND),
        (RateRule(otherwise=RateOrder.FASTEST), EXPRESS),
        (RateRule(services=("USPS Priority", "USPS Ground")), PRIORITY),
        (RateRule(services=("UPS Ground", "USPS Priority")), PRIORITY),
        (RateRule(services=("UPS Ground",)), GROUND),
        (RateRule(services=("UPS Ground",), otherwise=RateOrder.FASTEST), EXPRESS),
    ],
    ids=["cheapest", "fastest", "first-service", "second-service", "no-service", "no-service-fast"],
)
def test_rule_chooses_whatever_the_order_of_the_offers(rule: RateRule, chosen: Rate) -> None:
    assert choose_rate(OFFERED, rule) == chosen
    assert choose_rate(OFFERED[::-1], rule) == chosen


def test_rate_that_names_no_days_is_the_slowest() -> None:
    assert choose_rate((SILENT, SLOW), RateRule(otherwise=RateOrder.FASTEST)) == SLOW
    assert choose_rate((SILENT, SLOW), RateRule()) == SILENT


def test_no_offer_asks_a_person() -> None:
    with pytest.raises(PermanentError, match="no rate"):
        choose_rate((), RateRule())


def test_prices_in_several_currencies_are_not_compared() -> None:
    euros = rate("Paket", 549, 2, "eur")
    with pytest.raises(PermanentError, match="several currencies"):
        choose_rate((GROUND, euros), RateRule())
    assert choose_rate((GROUND, euros), RateRule(services=("USPS Paket",))) == euros
