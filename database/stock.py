"""Stock on hand per SKU, and every movement of it.

`python -m database.stock set SKU QUANTITY [SKU QUANTITY …] [--if-missing]` sets what is on
hand; `python -m database.stock list` prints it.
"""

import argparse
import asyncio

from sqlalchemy import Integer, bindparam, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.engine import Database
from database.keys import naming, naming_columns
from database.tables import stock, stock_movements
from domain.errors import PermanentError
from domain.ids import FulfillmentRef
from settings import DatabaseSettings, load

_TAKEN = (
    update(stock)
    .where(
        stock.c.sku == bindparam("taken_sku"),
        stock.c.on_hand >= bindparam("taken_quantity", type_=Integer),
    )
    .values(on_hand=stock.c.on_hand - bindparam("taken_quantity", type_=Integer))
    .returning(stock.c.sku)
    .cte("taken")
)
# The piece and the record of it in one statement: neither is there without the other.
_TAKE = (
    insert(stock_movements)
    .from_select(
        ["sku", "quantity", "reason", "session_id", "line_item_id", "kind"],
        select(
            _TAKEN.c.sku,
            -bindparam("taken_quantity", type_=Integer),
            literal("taken"),
            *naming_columns(),
        ),
    )
    .returning(stock_movements.c.sku)
)


async def take(connection: AsyncConnection, sku: str, quantity: int, ref: FulfillmentRef) -> None:
    """Takes pieces from stock, all or none; two takers never get the same piece.

    Raises:
        PermanentError: Too few are on hand, or the SKU is not known.
    """
    recorded = await connection.scalar(
        _TAKE, {"taken_sku": sku, "taken_quantity": quantity, **naming(ref)}
    )
    if recorded is None:
        on_hand = await connection.scalar(select(stock.c.on_hand).where(stock.c.sku == sku))
        if on_hand is None:
            raise PermanentError("sku_unknown", f"SKU {sku} has no stock record: set its stock")
        raise PermanentError("out_of_stock", f"SKU {sku}: {quantity} wanted, {on_hand} on hand")


async def put_back(
    connection: AsyncConnection, sku: str, quantity: int, ref: FulfillmentRef
) -> None:
    """Puts back what `take` took."""
    await connection.execute(
        update(stock).where(stock.c.sku == sku).values(on_hand=stock.c.on_hand + quantity)
    )
    await _record(connection, sku, quantity, "put back", ref)


async def set_on_hand(
    connection: AsyncConnection, sku: str, on_hand: int, *, only_if_missing: bool = False
) -> None:
    """Sets how many pieces of a SKU are on hand, as after a count.

    With `only_if_missing` a SKU that has a record already keeps it.
    """
    created = await connection.scalar(
        insert(stock).values(sku=sku, on_hand=0).on_conflict_do_nothing().returning(stock.c.sku)
    )
    if only_if_missing and created is None:
        return
    before: int = (
        await connection.execute(
            select(stock.c.on_hand).where(stock.c.sku == sku).with_for_update()
        )
    ).scalar_one()
    await connection.execute(update(stock).where(stock.c.sku == sku).values(on_hand=on_hand))
    await _record(connection, sku, on_hand - before, "counted", None)


async def read_stock(connection: AsyncConnection) -> dict[str, int]:
    """Pieces on hand by SKU."""
    rows = await connection.execute(select(stock.c.sku, stock.c.on_hand).order_by(stock.c.sku))
    return {row.sku: row.on_hand for row in rows}


async def _record(
    connection: AsyncConnection,
    sku: str,
    quantity: int,
    reason: str,
    ref: FulfillmentRef | None,
) -> None:
    names = ref.model_dump() if ref else {}
    await connection.execute(
        insert(stock_movements).values(sku=sku, quantity=quantity, reason=reason, **names)
    )


async def _run(arguments: argparse.Namespace) -> None:
    database_url = load(DatabaseSettings).database_url.get_secret_value()
    async with Database(database_url) as database, database.transaction() as connection:
        if arguments.command == "set":
            for sku, on_hand in arguments.counts:
                await set_on_hand(connection, sku, on_hand, only_if_missing=arguments.if_missing)
        for sku, on_hand in (await read_stock(connection)).items():
            print(f"{on_hand:>8}  {sku}")  # noqa: T201 - a command's answer


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m database.stock", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    setter = commands.add_parser("set", help="set what is on hand")
    setter.add_argument("words", nargs="+", metavar="SKU QUANTITY")
    setter.add_argument("--if-missing", action="store_true", help="keep what is recorded")
    commands.add_parser("list", help="print what is on hand")
    arguments = parser.parse_args()
    if arguments.command == "set":
        words = arguments.words
        if len(words) % 2 or not all(word.isdecimal() for word in words[1::2]):
            setter.error("give pairs of a SKU and a quantity of 0 or more")
        arguments.counts = [
            (sku, int(count)) for sku, count in zip(words[::2], words[1::2], strict=True)
        ]
    asyncio.run(_run(arguments))


if __name__ == "__main__":
    main()
