"""`python -m commands.stock`: shows, sets, imports and exports what is on hand.

    show                                 what there is, what is low and what is waited for
    set SKU N [SKU N …]                  what a count has found
    receive SKU N                        what has come in
    import FILE.csv | export             all of it; see `commands.stock_file`

Shipments that wait for stock are told of what comes.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

from activities.low_stock import record_low
from activities.messages import Messages
from activities.stock_queue import StockQueue
from commands.stock_file import (
    StockFile,
    StockFileError,
    as_pieces,
    as_sku,
    as_warehouse,
    format_stock_file,
    parse_stock_file,
)
from database.backorders import read_queued
from database.engine import Database
from database.stock import read_stock, receive, set_stock
from domain.catalog import CatalogError
from domain.errors import FulfillmentError, TransientError
from ending import run_to_end
from settings import Settings, load
from workflows.catalog_file import read_catalog
from workflows.client import Fulfillments, connect
from workflows.outbox import WorkflowOutbox

MOST_PROBLEMS = 20
"""Of a file, to be printed."""
UNNAMED = " (not in catalog.toml: ships nothing)"


class StockRoom:
    """What the command does.

    Args:
        database: Where stock is recorded.
        queue: Who waits for stock.
        messages: Tells the merchant's application what runs low.
        warehouses: Those that the catalog names.
    """

    def __init__(
        self,
        database: Database,
        queue: StockQueue,
        messages: Messages,
        warehouses: Sequence[str],
    ) -> None:
        self._database = database
        self._queue = queue
        self._messages = messages
        self._warehouses = warehouses

    async def show(self) -> None:
        """Prints what there is."""
        async with self._database.transaction() as connection:
            levels = await read_stock(connection)
            queued = await read_queued(connection)
        table = Table("SKU", "Warehouse", "On hand", "Low at", "Waited for")
        for level in levels:
            table.add_row(
                level.sku,
                level.warehouse + ("" if level.warehouse in self._warehouses else UNNAMED),
                str(level.on_hand),
                "" if level.low_at is None else f"{level.low_at}{' (low)' if level.is_low else ''}",
                str(queued.get(level.sku, "")),
            )
        # A SKU is what one copies: it is not to be cut where the terminal ends.
        Console(soft_wrap=True, width=None if sys.stdout.isatty() else 200).print(table)

    async def export(self) -> None:
        """Prints what there is as a file to import."""
        async with self._database.transaction() as connection:
            levels = await read_stock(connection)
        sys.stdout.write(format_stock_file(levels))

    async def set(self, file: StockFile, *, if_missing: bool = False) -> None:
        """Sets what there is, or only what nothing is recorded of."""
        counts = file.counts
        async with self._database.transaction() as connection:
            if if_missing:
                known = {(level.sku, level.warehouse) for level in await read_stock(connection)}
                counts = {place: count for place, count in counts.items() if place not in known}
            low = await set_stock(connection, counts, file.low_at)
            told = await record_low(connection, self._messages, low)
        _say(f"{len(counts)} counts recorded")
        await self._messages.send(*told)
        await self._tell_queue()

    async def receive(self, sku: str, quantity: int, warehouse: str) -> None:
        """Adds what has come in."""
        async with self._database.transaction() as connection:
            await receive(connection, sku, quantity, warehouse)
        _say(f"{quantity} pieces of {sku} received")
        await self._tell_queue()

    async def _tell_queue(self) -> None:
        try:
            woken = await self._queue.wake_ready()
        except TransientError as error:
            _say(f"{error.message}: who waits for stock hears of it within a quarter of an hour")
        else:
            if woken:
                _say(f"{woken} waiting shipments told of it")


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command's answer


_Work: TypeAlias = Callable[[StockRoom], Coroutine[Any, Any, None]]


async def _run(settings: Settings, work: _Work, warehouses: Sequence[str]) -> None:
    client = await connect(
        settings.temporal_address,
        settings.temporal_namespace,
        payload_keys=settings.payload_keys,
        lazy=True,
    )
    task_queue = settings.temporal_task_queue
    async with Database(settings.database_url.get_secret_value()) as database:
        queue = StockQueue(database, Fulfillments(client, task_queue))
        outbox = WorkflowOutbox(client, task_queue)
        messages = Messages(outbox, wanted=bool(settings.app_webhook_url))
        await work(StockRoom(database, queue, messages, warehouses))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m commands.stock",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="print what is on hand")
    commands.add_parser("export", help="print all stock as CSV")
    importing = commands.add_parser("import", help="set what a file says, all of it or nothing")
    importing.add_argument("file", type=Path, metavar="FILE.csv")
    setting = commands.add_parser("set", help="set what a count has found")
    setting.add_argument("words", nargs="+", metavar="SKU N")
    setting.add_argument("--low-at", metavar="N", help="an event tells when so few are left")
    setting.add_argument("--if-missing", action="store_true", help="keep what is recorded")
    receiving = commands.add_parser("receive", help="add what has come in")
    receiving.add_argument("words", nargs=2, metavar=("SKU", "N"))
    for each in (setting, receiving):
        each.add_argument("--warehouse", metavar="NAME", help="where, if there are several")
    return parser


def _work(arguments: argparse.Namespace, warehouses: Sequence[str]) -> _Work:
    """What the command line asks for.

    Raises:
        StockFileError: The file cannot be imported.
        ValueError: The command line makes no sense.
    """
    match arguments.command:
        case "show":
            return StockRoom.show
        case "export":
            return StockRoom.export
        case "import":
            return partial(StockRoom.set, file=parse_stock_file(_read(arguments.file), warehouses))
    warehouse = as_warehouse(arguments.warehouse, warehouses)
    skus = [as_sku(word) for word in arguments.words[::2]]
    numbers = [as_pieces(word, "N") for word in arguments.words[1::2]]
    if len(skus) != len(numbers):
        raise ValueError("give pairs of a SKU and a number of pieces")
    if arguments.command == "receive":
        return partial(StockRoom.receive, sku=skus[0], quantity=numbers[0], warehouse=warehouse)
    file = StockFile(counts={(sku, warehouse): n for sku, n in zip(skus, numbers, strict=True)})
    if arguments.low_at is not None:
        file.low_at = dict.fromkeys(skus, as_pieces(arguments.low_at, "--low-at"))
    return partial(StockRoom.set, file=file, if_missing=arguments.if_missing)


def _read(path: Path) -> str:
    try:
        # Spreadsheets begin UTF-8 files with a mark of their own.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StockFileError([str(error.strerror)]) from error
    except UnicodeDecodeError as error:
        raise StockFileError(["it is not UTF-8"]) from error


def main() -> None:
    """Runs the command line; exit code 1 for a problem, 2 for wrong usage."""
    parser = _parser()
    arguments = parser.parse_args()
    settings = load(Settings)
    try:
        warehouses = read_catalog(settings.catalog_file).warehouses_for(None)
        work = _work(arguments, warehouses)
    except StockFileError as error:
        lines = [*error.problems[:MOST_PROBLEMS], "nothing is imported"]
        sys.exit("\n".join(f"{arguments.file}: {line}" for line in lines))
    except ValueError as error:
        parser.error(str(error))
    except CatalogError as error:
        sys.exit(f"CATALOG_FILE: {error.message}")
    try:
        asyncio.run(_run(settings, work, warehouses))
    except FulfillmentError as error:
        sys.exit(f"{error.code}: {error.message}")


if __name__ == "__main__":
    run_to_end(main)
