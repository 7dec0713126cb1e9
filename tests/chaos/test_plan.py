"""What a seed draws."""

from chaos.plan import FULL, QUICK, TARGETS, Kind, draw


def test_the_same_seed_draws_the_same() -> None:
    assert draw(7, 600, FULL) == draw(7, 600, FULL)
    assert draw(7, 600, FULL) != draw(8, 600, FULL)


def test_each_kind_comes_before_any_comes_again() -> None:
    kinds = [planned.kind for planned in draw(7, 600, FULL)]
    for begin in range(0, len(kinds) - len(Kind), len(Kind)):
        assert set(kinds[begin : begin + len(Kind)]) == set(Kind)


def test_in_an_hour_each_kind_hits_all_that_it_may() -> None:
    drawn = {(planned.kind, planned.target) for planned in draw(7, 3600, FULL)}
    assert drawn == {(kind, target) for kind, targets in TARGETS.items() for target in targets}


def test_faults_come_in_time_and_last_as_long_as_they_may() -> None:
    plan = draw(7, 60, QUICK)
    assert all(
        QUICK.shortest_s <= planned.lasts_s <= QUICK.longest_s and 0 <= planned.at_s < 60
        for planned in plan
    )
    assert [planned.at_s for planned in plan] == sorted(planned.at_s for planned in plan)
