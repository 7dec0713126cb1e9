"""What fulfills a line item: catalog.toml first, then the product's metadata."""

from pathlib import Path

import pytest

from domain.catalog import UNASSIGNED, Catalog, CatalogError, parse_catalog
from domain.checkout import LineItem
from domain.money import Money
from domain.orders import PlannedFulfillment
from workflows.catalog_file import read_catalog

CATALOG = """
[products.prod_course]
fulfillment = ["access", "shipment"]
access_url = "https://example.com/course"
access_feature = "course"
shipment_sku = "BOOK"
shipment_weight_grams = 350

[prices.price_gift]
fulfillment = "manual"
"""


def _item(
    product: str = "prod_x", price: str = "price_x", metadata: dict[str, str] | None = None
) -> LineItem:
    return LineItem(
        id="li_1",
        description="Thing",
        quantity=1,
        subtotal=Money(amount_minor=100, currency="usd"),
        total=Money(amount_minor=100, currency="usd"),
        price_id=price,
        product_id=product,
        product_metadata=metadata or {},
    )


def _kinds(plan: tuple[PlannedFulfillment, ...]) -> list[str]:
    return [fulfillment.kind for fulfillment in plan]


def test_a_product_of_the_file_wins_over_its_metadata() -> None:
    catalog = parse_catalog(CATALOG)
    plan = catalog.plan(_item("prod_course", metadata={"fulfillment": "manual"}))
    assert plan == (
        PlannedFulfillment(
            line_item_id="li_1",
            kind="access",
            parameters={"url": "https://example.com/course", "feature": "course"},
        ),
        PlannedFulfillment(
            line_item_id="li_1", kind="shipment", parameters={"sku": "BOOK", "weight_grams": "350"}
        ),
    )


def test_a_price_of_the_file_wins_over_its_product() -> None:
    plan = parse_catalog(CATALOG).plan(_item("prod_course", "price_gift"))
    assert _kinds(plan) == ["manual"]


def test_metadata_serve_where_the_file_is_silent() -> None:
    plan = Catalog().plan(_item(metadata={"fulfillment": " access , access", "access_url": "u"}))
    assert plan == (
        PlannedFulfillment(line_item_id="li_1", kind="access", parameters={"url": "u"}),
    )


@pytest.mark.parametrize("metadata", [{}, {"fulfillment": ""}, {"fulfillment": " , "}])
def test_what_nothing_describes_is_unassigned(metadata: dict[str, str]) -> None:
    assert _kinds(Catalog().plan(_item(metadata=metadata))) == [UNASSIGNED]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "not valid TOML"),
        ('[products.p]\nfulfilment = "x"', "products.p.fulfillment: Field required"),
        ("[products.p]\nfulfillment = 3", "products.p.fulfillment"),
        ("[product.p]", "product: Extra inputs are not permitted"),
        ('[products.p]\nfulfillment = "teleport"', "p: unknown kind 'teleport'; known: access"),
        (
            '[products.p]\nfulfillment = "shipment"\nshipment_sku = "A"',
            "p: shipment_weight_grams: Field required",
        ),
        (
            '[products.p]\nfulfillment = "access"\naccess_url = "javascript:x"\naccess_feature="f"',
            "p: access_url: String should match pattern",
        ),
        ('[checkout]\ncolour = "blue"', "checkout.colour: Extra inputs are not permitted"),
        ('[checkout]\nshipping_countries = ["DE", "UK"]', "checkout.shipping_countries.1: Value"),
        ('[checkout]\nshipping_countries = "DE"', "checkout.shipping_countries: Input should be"),
        ('[checkout]\nshipping_rates = ["shr_1"]', "shipping_rates need shipping_countries"),
        (
            '[checkout]\nshipping_countries = ["DE"]\nshipping_rates = ["rate_1"]',
            "checkout.shipping_rates.0: String should match pattern",
        ),
        (
            '[checkout]\nshipping_rates = ["shr_1", "shr_2", "shr_3", "shr_4", "shr_5", "shr_6"]',
            "checkout.shipping_rates: Tuple should have at most 5 items",
        ),
        ('[checkout]\ncancel_url = "/cart"', "checkout.cancel_url: String should match pattern"),
        (
            '[checkout]\nautomatic_tax = "yes"',
            "checkout.automatic_tax: Input should be a valid boolean",
        ),
        ('[checkout]\norigins = ["*"]', "checkout.origins.0: String should match pattern"),
        (
            '[checkout]\norigins = ["https://shop.example.com/"]',
            "checkout.origins.0: String should match pattern",
        ),
    ],
)
def test_a_broken_file_is_refused_with_the_place(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text)
    with pytest.raises(CatalogError) as refusal:
        read_catalog(file)
    assert problem in refusal.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="No such file"):
        read_catalog(tmp_path / "catalog.toml")


def test_a_good_file_and_no_file_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    assert set(read_catalog(file).products) == {"prod_course"}
    assert read_catalog(None) == Catalog()


def test_the_file_tells_what_it_sells() -> None:
    catalog = parse_catalog(CATALOG)
    assert catalog.kinds("price_x", "prod_course") == ("access", "shipment")
    assert catalog.kinds("price_gift", "prod_course") == ("manual",)
    assert catalog.kinds("price_x", "prod_x") is None


def test_metadata_can_say_what_the_file_says() -> None:
    catalog = parse_catalog(CATALOG)
    copied = catalog.as_metadata("price_x", "prod_course")
    assert Catalog().plan(_item(metadata=copied)) == catalog.plan(_item("prod_course"))
    assert catalog.as_metadata("price_x", "prod_x") == {}
