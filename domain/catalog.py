"""What each product fulfills: an optional catalog.toml first, then Stripe product metadata.

Metadata keys on the Stripe product (or below a product or price in catalog.toml):

    fulfillment = "access,shipment"       one or more fulfillment kinds
    <kind>_<parameter> = "…"              for example access_url, shipment_sku

catalog.toml, where a price ID wins over a product ID:

    [products.prod_123]
    fulfillment = ["access", "shipment"]
    access_url = "https://example.com/course"
    shipment_sku = "MUG-BLUE"
    shipment_weight_grams = 350
"""

import tomllib
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from domain.checkout import LineItem
from domain.errors import FulfillmentError
from domain.orders import PlannedFulfillment

UNASSIGNED = "unassigned"
"""The kind of a line item that nothing says how to fulfill: action required."""


class CatalogError(FulfillmentError):
    """The catalog file cannot be used; `message` names the place."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)
    __pydantic_extra__: dict[str, str] = Field(init=False)

    fulfillment: tuple[str, ...]

    @field_validator("fulfillment", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def plan(self, line_item_id: str) -> tuple[PlannedFulfillment, ...]:
        return tuple(
            PlannedFulfillment(
                line_item_id=line_item_id,
                kind=kind,
                parameters={
                    key.removeprefix(f"{kind}_"): text
                    for key, text in self.__pydantic_extra__.items()
                    if key.startswith(f"{kind}_")
                },
            )
            for kind in dict.fromkeys(self.fulfillment)
        )


class Catalog(BaseModel):
    """Entries of catalog.toml by product and by price; empty when there is no file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: Mapping[str, _Entry] = {}
    prices: Mapping[str, _Entry] = {}

    def plan(self, line_item: LineItem) -> tuple[PlannedFulfillment, ...]:
        """How a line item is fulfilled; a single `unassigned` one where nothing says."""
        entry = self.prices.get(line_item.price_id or "")
        entry = entry or self.products.get(line_item.product_id or "")
        if entry is None and line_item.product_metadata.get("fulfillment"):
            entry = _Entry.model_validate(line_item.product_metadata)
        planned = entry.plan(line_item.id) if entry is not None else ()
        return planned or (PlannedFulfillment(line_item_id=line_item.id, kind=UNASSIGNED),)

    def all_plans(self) -> dict[str, tuple[PlannedFulfillment, ...]]:
        """What each price and product of the file plans, to be checked before serving."""
        return {key: entry.plan(key) for key, entry in {**self.products, **self.prices}.items()}


def parse_catalog(text: str) -> Catalog:
    """Reads the text of a catalog.toml.

    Raises:
        CatalogError: The text is not TOML or not a catalog.
    """
    try:
        return Catalog.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CatalogError("catalog_invalid", f"not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogError("catalog_invalid", f"{place}: {first['msg']}") from error
