"""Where pieces come from, and in which parcels they go."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from domain.catalog import Catalog, parse_catalog
from domain.shipping import ParcelItem, RateOrder, RateRule
from domain.stock import Take, allocate, pack

MUGS = ParcelItem(sku="MUG", quantity=2, weight_grams=350)
BOOK = ParcelItem(sku="BOOK", quantity=1, weight_grams=800)
WAREHOUSES = ("berlin", "paris")


def _takes(*rows: tuple[str, str, int]) -> tuple[Take, ...]:
    return tuple(Take(sku=sku, warehouse=place, quantity=count) for sku, place, count in rows)


def test_the_first_warehouse_that_has_everything_gives_it() -> None:
    on_hand = {("MUG", "berlin"): 1, ("MUG", "paris"): 5, ("BOOK", "berlin"): 9}
    assert allocate([MUGS], on_hand, WAREHOUSES) == _takes(("MUG", "paris", 2))
    on_hand["MUG", "berlin"] = 2
    assert allocate([MUGS], on_hand, WAREHOUSES) == _takes(("MUG", "berlin", 2))


def test_one_parcel_is_better_than_the_best_warehouse() -> None:
    on_hand = {("MUG", "berlin"): 2, ("MUG", "paris"): 2, ("BOOK", "paris"): 1}
    assert allocate([MUGS, BOOK], on_hand, WAREHOUSES) == _takes(
        ("BOOK", "paris", 1), ("MUG", "paris", 2)
    )


def test_what_no_warehouse_has_alone_comes_from_several() -> None:
    on_hand = {("MUG", "berlin"): 1, ("MUG", "paris"): 1, ("BOOK", "paris"): 1}
    assert allocate([MUGS, BOOK], on_hand, WAREHOUSES) == _takes(
        ("BOOK", "paris", 1), ("MUG", "berlin", 1), ("MUG", "paris", 1)
    )


def test_stock_of_unknown_warehouses_does_not_count() -> None:
    assert allocate([MUGS], {("MUG", "moon"): 9}, WAREHOUSES) is None
    assert allocate([MUGS, BOOK], {("MUG", "berlin"): 9}, WAREHOUSES) is None


def test_a_country_goes_to_its_own_warehouse_then_by_priority() -> None:
    catalog = parse_catalog(
        '[warehouses.near]\ncountries = ["DE"]\npriority = 9\n'
        "[warehouses.big]\npriority = 1\n[warehouses.first]\n"
    )
    assert catalog.warehouses_for("DE") == ("near", "first", "big")
    assert catalog.warehouses_for("US") == ("first", "big", "near")
    assert Catalog().warehouses_for("US") == ("main",)


def test_a_bundle_is_taken_as_its_parts_which_share_its_weight() -> None:
    catalog = parse_catalog("[bundles.GIFT-SET]\nMUG = 2\nBOOK = 1\n")
    assert catalog.parts("GIFT-SET", 2, 1000) == (
        ParcelItem(sku="BOOK", quantity=2, weight_grams=334),
        ParcelItem(sku="MUG", quantity=4, weight_grams=334),
    )
    assert catalog.parts("MUG", 2, 350) == (MUGS,)


def test_the_guides_example_is_a_catalog() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "stock.md").read_text()
    [example] = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    catalog = parse_catalog(example)
    assert catalog.warehouses_for("DE") == ("berlin",)
    address = catalog.warehouse_address("berlin")
    assert address is not None
    assert address.city == "Berlin"
    assert catalog.shipping.rate_rule == RateRule(services=("USPS Priority",))


def test_without_a_rule_the_carrier_chooses_its_rate() -> None:
    assert parse_catalog("[shipping]\nmax_parcel_grams = 1\n").shipping.rate_rule is None
    fastest = parse_catalog('[shipping]\nrate = "fastest"\n').shipping.rate_rule
    assert fastest == RateRule(otherwise=RateOrder.FASTEST)


def _packed(takes: tuple[Take, ...], weights: dict[str, int]) -> list[tuple[str, dict[str, int]]]:
    return [
        (parcel.warehouse, {item.sku: item.quantity for item in parcel.items})
        for parcel in pack(takes, weights, 1000)
    ]


def test_pieces_fill_parcels_up_to_the_limit() -> None:
    assert _packed(_takes(("MUG", "main", 5)), {"MUG": 350}) == [
        ("main", {"MUG": 2}),
        ("main", {"MUG": 2}),
        ("main", {"MUG": 1}),
    ]


def test_light_pieces_go_where_heavy_ones_leave_room() -> None:
    takes = _takes(("BOOK", "main", 2), ("CARD", "main", 5))
    assert _packed(takes, {"BOOK": 800, "CARD": 100}) == [
        ("main", {"BOOK": 1, "CARD": 2}),
        ("main", {"BOOK": 1, "CARD": 2}),
        ("main", {"CARD": 1}),
    ]


def test_a_piece_beyond_the_limit_has_a_parcel_of_its_own() -> None:
    takes = _takes(("ANVIL", "main", 2), ("CARD", "main", 1))
    assert _packed(takes, {"ANVIL": 5000, "CARD": 100}) == [
        ("main", {"ANVIL": 1}),
        ("main", {"ANVIL": 1}),
        ("main", {"CARD": 1}),
    ]


def test_warehouses_share_no_parcel() -> None:
    takes = _takes(("CARD", "berlin", 1), ("CARD", "paris", 1))
    assert _packed(takes, {"CARD": 100}) == [("berlin", {"CARD": 1}), ("paris", {"CARD": 1})]


@given(
    st.dictionaries(
        st.sampled_from("ABCDE"),
        st.tuples(st.integers(1, 40), st.integers(1, 1500)),
        min_size=1,
    )
)
def test_nothing_is_lost_and_only_single_pieces_are_too_heavy(
    pieces: dict[str, tuple[int, int]],
) -> None:
    takes = _takes(*((sku, "main", count) for sku, (count, _) in pieces.items()))
    packed: dict[str, int] = {}
    for parcel in pack(takes, {sku: grams for sku, (_, grams) in pieces.items()}, 1000):
        grams = sum(item.quantity * item.weight_grams for item in parcel.items)
        assert grams <= 1000 or sum(item.quantity for item in parcel.items) == 1
        for item in parcel.items:
            packed[item.sku] = packed.get(item.sku, 0) + item.quantity
    assert packed == {sku: count for sku, (count, _) in pieces.items()}
