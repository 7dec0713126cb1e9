"""Products. See "The Product object" in Stripe's API reference."""

from ..errors import invalid
from ..ids import new_id, now
from ..operations import Call, operation
from ..paging import in_range, page
from ..params import Params
from ..store import StripeObject
from .common import metadata, update

_UPDATABLE = (
    "active", "description", "images", "marketing_features", "name", "package_dimensions",
    "shippable", "statement_descriptor", "tax_code", "unit_label", "url", "default_price",
)  # fmt: skip


def new_product(params: Params) -> StripeObject:
    """A product from the parameters of its creation."""
    return {
        "id": params.get("id") or new_id("prod", 14),
        "object": "product",
        "active": params.get("active", True),
        "created": now(),
        "default_price": None,
        "description": params.get("description"),
        "images": params.get("images") or [],
        "livemode": False,
        "marketing_features": params.get("marketing_features") or [],
        "metadata": metadata(params.get("metadata")),
        "name": params["name"],
        "package_dimensions": params.get("package_dimensions") or None,
        "shippable": params.get("shippable"),
        "statement_descriptor": params.get("statement_descriptor"),
        "tax_code": params.get("tax_code"),
        "type": params.get("type", "service"),
        "unit_label": params.get("unit_label"),
        "updated": now(),
        "url": params.get("url"),
    }


@operation("POST /v1/products")
def create(call: Call) -> StripeObject:
    """Create a product, with a price when `default_price_data` asks for one."""
    from .prices import add_price  # noqa: PLC0415 - prices make products, and products prices

    product = new_product(call.params)
    if call.account.find(product["id"]) is not None:
        raise invalid("Product already exists.", "id", "resource_already_exists")
    call.account.add(product)
    if "default_price_data" in call.params:
        price = add_price(call, {**call.params["default_price_data"], "product": product["id"]})
        product["default_price"] = price["id"]
    call.emulator.emit(call.account, "product.created", product)
    return product


@operation("GET /v1/products/{id}")
def retrieve(call: Call) -> StripeObject:
    """The product of this ID."""
    return call.target("product", "id")


@operation("POST /v1/products/{id}")
def modify(call: Call) -> StripeObject:
    """Change the fields sent."""
    product = retrieve(call)
    previous = update(product, call.params, _UPDATABLE)
    product["updated"] = now()
    call.emulator.emit(call.account, "product.updated", product, previous)
    return product


@operation("DELETE /v1/products/{id}")
def delete(call: Call) -> StripeObject:
    """Delete a product that has no prices."""
    product = retrieve(call)
    if any(p["product"] == product["id"] for p in call.account.newest_first("price")):
        raise invalid(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    call.account.remove(product)
    call.emulator.emit(call.account, "product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


@operation("GET /v1/products")
def list_all(call: Call) -> StripeObject:
    """Products, the newest first."""
    params = call.params
    found = (
        product
        for product in call.account.newest_first("product")
        if in_range(product["created"], params.get("created"))
        and ("active" not in params or product["active"] is params["active"])
        and ("ids" not in params or product["id"] in params["ids"])
        and ("shippable" not in params or product["shippable"] is params["shippable"])
        and ("url" not in params or product["url"] == params["url"])
    )
    return page(call.account, found, params, "/v1/products")
