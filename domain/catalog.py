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

    [checkout]                                       what `POST /checkout` sells with; see
    cancel_url = "https://shop.example.com/cart"     `CheckoutOptions`
    shipping_countries = ["US", "DE"]
    origins = ["https://shop.example.com"]

    [bundles.GIFT-SET]                               a SKU that is made of others: so many
    MUG-BLUE = 2                                     pieces of each; `shipment_weight_grams` is
    BOOK = 1                                         that of one bundle

    [warehouses.berlin]                              see `Warehouse`; without any, there is one
    countries = ["DE", "AT"]                         called `main`

    [shipping]                                       see `ShippingOptions`
    max_parcel_grams = 20000
    services = ["USPS Priority"]
    rate = "cheapest"

    [reversals.access]                               what refunds and disputes take back, by
    dispute_opened = "keep"                          fulfillment kind; see `domain.reversals`

    [refunds]                                        what is refunded without an operator; see
    automatic = ["refund_chosen", "pool_empty"]      `domain.refunds.RefundPolicy`
"""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StrictBool,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from domain.checkout import Address, LineItem
from domain.errors import FulfillmentError
from domain.orders import PlannedFulfillment
from domain.refunds import RefundPolicy
from domain.reversals import DEFAULT_POLICIES, ReversalPolicy
from domain.shipping import ParcelItem, RateOrder, RateRule
from domain.stock import MAIN_WAREHOUSE

UNASSIGNED = "unassigned"
"""The kind of a line item that nothing says how to fulfill: action required."""
_COUNTRIES = (
    "AC AD AE AF AG AI AL AM AO AQ AR AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "
    "BS BT BV BW BY BZ CA CD CF CG CH CI CK CL CM CN CO CR CV CW CY CZ DE DJ DK DM DO DZ EC EE EG "
    "EH ER ES ET FI FJ FK FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HN HR "
    "HT HU ID IE IL IM IN IO IQ IS IT JE JM JO JP KE KG KH KI KM KN KR KW KY KZ LA LB LC LI LK LR "
    "LS LT LU LV LY MA MC MD ME MF MG MK ML MM MN MO MQ MR MS MT MU MV MW MX MY MZ NA NC NE NG NI "
    "NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PY QA RE RO RS RU RW SA SB SC SD SE "
    "SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SZ TA TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG US UY UZ VA VC VE VG VN VU WF WS XK YE YT ZA ZM ZW ZZ"
)
SHIPPING_COUNTRIES = frozenset(_COUNTRIES.split())
"""Where Checkout asks a shipping address; a test compares them with the SDK's."""
MAX_SHIPPING_RATES = 5


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

    def as_metadata(self) -> dict[str, str]:
        return {"fulfillment": ",".join(self.fulfillment), **self.__pydantic_extra__}

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


def _check_country(value: str) -> str:
    if value not in SHIPPING_COUNTRIES:
        raise ValueError(f"Checkout ships to no country {value!r}: two capital letters, as in US")
    return value


class CheckoutOptions(BaseModel):
    """The table `[checkout]`: with which options `POST /checkout` opens Checkout Sessions.

    Source: Stripe's API reference, "Create a Checkout Session".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cancel_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+\S*$")] | None = None
    """Where the page's back button leads; without one there is no such button."""
    shipping_countries: tuple[Annotated[str, AfterValidator(_check_country)], ...] = ()
    """Where parcels may go; needed to sell what is shipped."""
    shipping_rates: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^shr_[A-Za-z0-9]+$")], ...],
        Field(max_length=MAX_SHIPPING_RATES),
    ] = ()
    """What the customer chooses from when something is shipped; Stripe knows them in payment
    mode only, so subscriptions are shipped free."""
    allow_promotion_codes: StrictBool = False
    automatic_tax: StrictBool = False
    phone_number: StrictBool = False
    origins: tuple[
        Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")], ...
    ] = ()
    """Pages of which other origins may call it, as browsers write them: no path, no slash."""

    @model_validator(mode="after")
    def _check_rates(self) -> Self:
        if self.shipping_rates and not self.shipping_countries:
            raise ValueError("shipping_rates need shipping_countries")
        return self


class Warehouse(BaseModel):
    """A table `[warehouses.*]`: a place that parcels come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: int = 0
    """The lowest is asked first, among those that serve the country and among the others."""
    countries: tuple[Annotated[str, AfterValidator(_check_country)], ...] = ()
    """Which it serves before all other warehouses; it is asked last for any other country."""
    address: Address | None = None
    """Where its parcels come from, for carriers that want to know."""


class ShippingOptions(BaseModel):
    """The table `[shipping]`: how parcels are made, and by which of a carrier's rates they go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_parcel_grams: PositiveInt = 30_000
    """What a parcel may weigh; one piece that is heavier has a parcel of its own."""
    services: tuple[str, ...] = ()
    """Carrier and service: the first that is offered is taken."""
    rate: RateOrder | None = None
    """Which rate is taken of all others; without it and `services` the carrier chooses."""

    @property
    def rate_rule(self) -> RateRule | None:
        """Which rate a parcel goes by; None where the carrier chooses."""
        if not self.services and self.rate is None:
            return None
        return RateRule(services=self.services, otherwise=self.rate or RateOrder.CHEAPEST)


class Catalog(BaseModel):
    """Entries of catalog.toml by product and by price; empty when there is no file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: Mapping[str, _Entry] = {}
    prices: Mapping[str, _Entry] = {}
    checkout: CheckoutOptions = CheckoutOptions()
    bundles: Mapping[str, Annotated[Mapping[str, PositiveInt], Field(min_length=1)]] = {}
    """What one piece of a SKU is made of, where that is other SKUs."""
    warehouses: Mapping[str, Warehouse] = {}
    shipping: ShippingOptions = ShippingOptions()
    reversals: Mapping[str, ReversalPolicy] = {}
    """By fulfillment kind; what an entry does not say is as by default."""
    refunds: RefundPolicy = RefundPolicy()

    @field_validator("reversals", mode="before")
    @classmethod
    def _over_defaults(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {
            kind: {**_default_policy(str(kind)).model_dump(), **entry}
            if isinstance(entry, Mapping)
            else entry
            for kind, entry in value.items()
        }

    @model_validator(mode="after")
    def _check_bundles(self) -> Self:
        for name, parts in self.bundles.items():
            if nested := self.bundles.keys() & parts.keys():
                raise ValueError(f"bundle {name} holds a bundle: {min(nested)}")
        return self

    def _entry(self, price_id: str | None, product_id: str | None) -> _Entry | None:
        return self.prices.get(price_id or "") or self.products.get(product_id or "")

    def kinds(self, price_id: str, product_id: str) -> tuple[str, ...] | None:
        """The fulfillment kinds of what the file sells; None of what it does not list."""
        entry = self._entry(price_id, product_id)
        return entry.fulfillment if entry is not None else None

    def as_metadata(self, price_id: str, product_id: str) -> dict[str, str]:
        """The file's entry as product metadata would say it; empty without one."""
        entry = self._entry(price_id, product_id)
        return entry.as_metadata() if entry is not None else {}

    def plan(self, line_item: LineItem) -> tuple[PlannedFulfillment, ...]:
        """How a line item is fulfilled; a single `unassigned` one where nothing says."""
        entry = self._entry(line_item.price_id, line_item.product_id)
        if entry is None and line_item.product_metadata.get("fulfillment"):
            entry = _Entry.model_validate(line_item.product_metadata)
        planned = entry.plan(line_item.id) if entry is not None else ()
        return planned or (PlannedFulfillment(line_item_id=line_item.id, kind=UNASSIGNED),)

    def parts(self, sku: str, quantity: int, weight_grams: int) -> tuple[ParcelItem, ...]:
        """What is taken from stock for so many pieces of a SKU, by SKU.

        The pieces of a bundle share its weight evenly, rounded up: nothing says which is heavy.
        """
        bundle = self.bundles.get(sku, {sku: 1})
        share_grams = -(-weight_grams // sum(bundle.values()))
        return tuple(
            ParcelItem(sku=part, quantity=count * quantity, weight_grams=share_grams)
            for part, count in sorted(bundle.items())
        )

    def warehouses_for(self, country: str | None) -> tuple[str, ...]:
        """All warehouses; those that serve the country first."""

        def rank(name: str) -> tuple[bool, int, str]:
            warehouse = self.warehouses[name]
            return country not in warehouse.countries, warehouse.priority, name

        return tuple(sorted(self.warehouses, key=rank)) or (MAIN_WAREHOUSE,)

    def warehouse_address(self, name: str) -> Address | None:
        """Where a warehouse's parcels come from, if the file says."""
        warehouse = self.warehouses.get(name)
        return warehouse.address if warehouse is not None else None

    def reversal_policy(self, kind: str) -> ReversalPolicy:
        """What refunds and disputes mean for a fulfillment kind."""
        return self.reversals.get(kind) or _default_policy(kind)

    def all_plans(self) -> dict[str, tuple[PlannedFulfillment, ...]]:
        """What each price and product of the file plans, to be checked before serving."""
        return {key: entry.plan(key) for key, entry in {**self.products, **self.prices}.items()}


def _default_policy(kind: str) -> ReversalPolicy:
    return DEFAULT_POLICIES.get(kind, ReversalPolicy())


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
