"""How a product that is on sale would be fulfilled, before anybody has bought it."""

from adapters.stripe_account import Product
from domain.catalog import Catalog
from domain.checkout import LineItem
from domain.money import Money
from domain.orders import PlannedFulfillment

_NOTHING = Money(amount_minor=0, currency="usd")


def planned(
    catalog: Catalog, product: Product, price_id: str | None = None
) -> tuple[PlannedFulfillment, ...]:
    """What the worker would plan for one piece; a single `unassigned` one where nothing says.

    Args:
        catalog: The catalog file's.
        product: What is sold.
        price_id: At which price; None is one that the catalog does not name.
    """
    line_item = LineItem(
        id="",
        description=product.name,
        quantity=1,
        subtotal=_NOTHING,
        total=_NOTHING,
        tax=_NOTHING,
        discount=_NOTHING,
        price_id=price_id,
        product_id=product.id,
        product_metadata=product.metadata,
    )
    return catalog.plan(line_item)
