"""catalog.toml, read and checked against the fulfillment kinds that there are."""

from pathlib import Path

from domain.catalog import Catalog, CatalogError, parse_catalog
from workflows.fulfillment.registry import KINDS


def read_catalog(path: Path | None) -> Catalog:
    """Reads and checks catalog.toml, if there is one.

    Raises:
        CatalogError: It cannot be read, names an unknown kind, or a parameter is wrong.
    """
    if path is None:
        return Catalog()
    try:
        catalog = parse_catalog(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError("catalog_missing", f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError("catalog_invalid", f"{path}: is not UTF-8: {error.reason}") from error
    for entry, plans in catalog.all_plans().items():
        for plan in plans:
            kind = KINDS.get(plan.kind)
            if kind is None:
                known = ", ".join(KINDS)
                raise CatalogError(
                    "catalog_invalid", f"{entry}: unknown kind {plan.kind!r}; known: {known}"
                )
            try:
                kind.parse(plan.parameters)
            except ValueError as error:
                raise CatalogError("catalog_invalid", f"{entry}: {error}") from error
    return catalog
