"""Checks that what is sold says how it is fulfilled: the catalog file, products and prices."""

from collections.abc import Sequence

from adapters.stripe_account import Product
from commands.checks.registry import Finding, Group, Site, fail, ok, skipped, warn
from commands.checks.stripe_side import REACH_STRIPE, stripe_key
from commands.described import planned
from domain.catalog import UNASSIGNED, Catalog, CatalogError
from domain.checkout import ForeignSessions
from workflows.catalog_file import read_catalog
from workflows.fulfillment.registry import KINDS

MAX_PRODUCTS = 1000
"""So many are looked at, the newest first."""
MAX_LISTED = 10
DESCRIBE = (
    "Set the metadata `fulfillment` and what its kind reads on the product, or describe it in"
    " catalog.toml: README, “What a product fulfills”"
)

group = Group()


@group.check("catalog file", needs=["catalog_file"], remedy="Mend CATALOG_FILE")
async def catalog_file(site: Site) -> Finding:
    """Whether the worker can read it."""
    path = site.settings.catalog_file
    if path is None:
        return ok("none: the metadata of the products says it all")
    try:
        catalog = read_catalog(path)
    except CatalogError as error:
        return fail(error.message, f"Mend that place in {path}; the worker refuses to start")
    return ok(f"{len(catalog.products)} products, {len(catalog.prices)} prices")


@group.check("catalog IDs", after=[catalog_file, stripe_key], remedy=REACH_STRIPE)
async def catalog_ids(site: Site) -> Finding:
    """Whether what it describes is on sale at Stripe."""
    catalog = read_catalog(site.settings.catalog_file)
    if not catalog.all_plans():
        return skipped("the catalog describes nothing")
    products = await site.account.products(catalog.products.keys())
    prices = await site.account.prices(catalog.prices.keys())
    unknown = [
        *(catalog.products.keys() - products.keys()),
        *(catalog.prices.keys() - prices.keys()),
    ]
    if unknown:
        return fail(
            f"Stripe does not know {_listed(sorted(unknown))}",
            "Correct or remove these IDs in CATALOG_FILE; test and live mode have different ones",
        )
    archived = [product.id for product in products.values() if not product.active]
    archived += [price.id for price in prices.values() if not price.active]
    if archived:
        return warn(
            f"not active at Stripe: {_listed(sorted(archived))}",
            "Activate them in the Dashboard, or remove them from CATALOG_FILE",
        )
    return ok("all active at Stripe")


@group.check("product metadata", after=[catalog_file, stripe_key], remedy=REACH_STRIPE)
async def product_metadata(site: Site) -> Finding:
    """Whether the metadata of every product on sale can be fulfilled."""
    catalog = read_catalog(site.settings.catalog_file)
    described = [
        product
        for product in await site.account.active_products(MAX_PRODUCTS)
        if product.id not in catalog.products and not _is_unassigned(product)
    ]
    problems = [
        f"{product.name} ({product.id}): {problem}"
        for product in described
        if (problem := _problem(product)) is not None
    ]
    if problems:
        return fail(
            _listed(problems, separator="\n"), "Correct the metadata: Dashboard, Product catalog"
        )
    return ok(f"{len(described)} products say how they are fulfilled")


@group.check("undescribed products", after=[catalog_file, stripe_key], remedy=REACH_STRIPE)
async def undescribed_products(site: Site) -> Finding:
    """Whether something is on sale that nobody could fulfill."""
    catalog = read_catalog(site.settings.catalog_file)
    prices = await site.account.prices(catalog.prices.keys())
    by_catalog = catalog.products.keys() | {price.product.id for price in prices.values()}
    undescribed = [
        f"{product.name} ({product.id})"
        for product in await site.account.active_products(MAX_PRODUCTS)
        if product.id not in by_catalog and _is_unassigned(product)
    ]
    if not undescribed:
        return ok("none")
    if site.settings.foreign_sessions is ForeignSessions.IGNORE:
        return ok(f"{len(undescribed)}, left to others (FOREIGN_SESSIONS=ignore)")
    return warn(f"{len(undescribed)}: {_listed(undescribed)}", DESCRIBE)


def _is_unassigned(product: Product) -> bool:
    """Whether the metadata of a product does not say how it is fulfilled."""
    return planned(Catalog(), product)[0].kind == UNASSIGNED


def _problem(product: Product) -> str | None:
    """What is wrong with a product's metadata; None when it can be fulfilled."""
    for plan in planned(Catalog(), product):
        kind = KINDS.get(plan.kind)
        if kind is None:
            return f"unknown kind {plan.kind!r}; known: {', '.join(KINDS)}"
        try:
            kind.parse(plan.parameters)
        except ValueError as error:
            return str(error)
    return None


def _listed(names: Sequence[str], separator: str = ", ") -> str:
    more = [f"and {len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return separator.join([*names[:MAX_LISTED], *more])
