"""How statements name one fulfillment, and join it to its line item.

The statements that every order runs are made once, at import, with parameters: making one anew
costs three times as much of the worker's time as running it.
"""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Table, Text, and_, bindparam, cast

from database.tables import fulfillments, line_items
from domain.ids import FulfillmentRef

SESSION: BindParameter[str] = bindparam("ref_session_id")
"""The parameter that names a Checkout Session; not `session_id`, which SQLAlchemy keeps for
the column of that name in INSERT and UPDATE."""
_LINE_ITEM: BindParameter[str] = bindparam("ref_line_item_id")
_KIND: BindParameter[str] = bindparam("ref_kind")

SAME_LINE = and_(
    fulfillments.c.session_id == line_items.c.session_id,
    fulfillments.c.line_item_id == line_items.c.line_item_id,
)
"""Joins fulfillments and line items."""


def of_fulfillment(table: Table) -> ColumnElement[bool]:
    """Joins a table whose rows belong to fulfillments with those."""
    return and_(
        table.c.session_id == fulfillments.c.session_id,
        table.c.line_item_id == fulfillments.c.line_item_id,
        table.c.kind == fulfillments.c.kind,
    )


def is_fulfillment(table: Table) -> ColumnElement[bool]:
    """The rows of a table that belong to the fulfillment which the parameters name."""
    return and_(
        table.c.session_id == SESSION,
        table.c.line_item_id == _LINE_ITEM,
        table.c.kind == _KIND,
    )


def naming_columns() -> tuple[ColumnElement[str], ...]:
    """The same parameters as columns to select."""
    return tuple(cast(parameter, Text) for parameter in (SESSION, _LINE_ITEM, _KIND))


def naming(ref: FulfillmentRef) -> dict[str, Any]:
    """The parameters for `is_fulfillment`."""
    return {
        SESSION.key: ref.session_id,
        _LINE_ITEM.key: ref.line_item_id,
        _KIND.key: ref.kind,
    }


def naming_nothing() -> dict[str, None]:
    """The same parameters, empty: for what happens on nobody's behalf."""
    return dict.fromkeys((SESSION.key, _LINE_ITEM.key, _KIND.key))
