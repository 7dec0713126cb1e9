"""`fulfillment stock`: shows, sets, imports and exports what is on hand."""

import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from activities.low_stock import record_low
from commands.stock_file import (
    StockFile,
    StockFileError,
    as_pieces,
    as_sku,
    as_warehouse,
    format_stock_file,
    parse_stock_file,
)
from commands.terminal import AsJson, answers, print_json, refuse, run, say, table
from commands.workplace import Workplace, open_workplace
from database.backorders import read_queued
from database.stock import read_stock, receive, set_stock
from domain.catalog import CatalogError
from domain.errors import TransientError
from settings import Settings, load
from workflows.catalog_file import read_catalog

MOST_PROBLEMS = 20
"""Of a file, to be printed."""
UNNAMED = " (not in catalog.toml: ships nothing)"


class StockRoom:
    """What the command does.

    Args:
        workplace: Where stock is recorded, and who is told of it.
        warehouses: Those that the catalog names.
    """

    def __init__(self, workplace: Workplace, warehouses: Sequence[str]) -> None:
        self._database = workplace.database
        self._queue = workplace.stock_queue
        self._messages = workplace.messages
        self._warehouses = warehouses

    async def show(self, *, as_json: bool) -> None:
        """Prints what there is."""
        async with self._database.transaction() as connection:
            levels = await read_stock(connection)
            queued = await read_queued(connection)
        if as_json:
            waited = [{"waited_for": queued.get(level.sku, 0)} for level in levels]
            print_json(
                [level.model_dump() | each for level, each in zip(levels, waited, strict=True)]
            )
            return
        listed = table("SKU", "Warehouse", "On hand", "Low at", "Waited for")
        for level in levels:
            listed.add_row(
                level.sku,
                level.warehouse + ("" if level.warehouse in self._warehouses else UNNAMED),
                str(level.on_hand),
                "" if level.low_at is None else f"{level.low_at}{' (low)' if level.is_low else ''}",
                str(queued.get(level.sku, "")),
            )
        answers().print(listed)

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
        say(f"{len(counts)} counts recorded")
        await self._messages.send(*told)
        await self._tell_queue()

    async def receive(self, pairs: Sequence[tuple[str, int]], warehouse: str) -> None:
        """Adds what has come in."""
        async with self._database.transaction() as connection:
            for sku, pieces in pairs:
                await receive(connection, sku, pieces, warehouse)
        for sku, pieces in pairs:
            say(f"{pieces} pieces of {sku} received")
        await self._tell_queue()

    async def _tell_queue(self) -> None:
        try:
            woken = await self._queue.wake_ready()
        except TransientError as error:
            say(f"{error.message}: who waits for stock hears of it within a quarter of an hour")
        else:
            if woken:
                say(f"{woken} waiting shipments told of it")


_Warehouse = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where, if there are several.")
]
_Counts = Annotated[list[str], typer.Argument(metavar="SKU N", help="Pairs of these.")]
app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command("show")
def show(*, as_json: AsJson = False) -> None:
    """Prints what there is, what is low, and what is waited for."""
    _in(lambda room: room.show(as_json=as_json))


@app.command("export")
def export() -> None:
    """Prints all stock as a file to import."""
    _in(StockRoom.export)


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(metavar="FILE.csv")]) -> None:
    """Sets what a file says, all of it or nothing; see docs/stock.md."""
    try:
        counted = parse_stock_file(_read(file), _warehouses())
    except StockFileError as error:
        lines = [*error.problems[:MOST_PROBLEMS], "nothing is imported"]
        refuse("\n".join(f"{file}: {line}" for line in lines))
    _in(lambda room: room.set(counted))


@app.command("set")
def set_(
    counts: _Counts,
    *,
    low_at: Annotated[
        str | None, typer.Option(metavar="N", help="An event tells when so few are left.")
    ] = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Keep what is recorded.")
    ] = False,
    warehouse: _Warehouse = None,
) -> None:
    """Sets what a count has found; shipments that wait for it are told."""
    with _usage():
        where = as_warehouse(warehouse, _warehouses())
        pairs = _pairs(counts)
        counted = StockFile(counts={(sku, where): pieces for sku, pieces in pairs})
        if low_at is not None:
            least = as_pieces(low_at, "--low-at")
            counted.low_at = dict.fromkeys((sku for sku, _ in pairs), least)
    _in(lambda room: room.set(counted, if_missing=if_missing))


@app.command("receive")
def receive_(counts: _Counts, *, warehouse: _Warehouse = None) -> None:
    """Adds what has come in; shipments that wait for it are told."""
    with _usage():
        where = as_warehouse(warehouse, _warehouses())
        pairs = _pairs(counts)
    _in(lambda room: room.receive(pairs, where))


def _pairs(words: Sequence[str]) -> list[tuple[str, int]]:
    skus = [as_sku(word) for word in words[::2]]
    numbers = [as_pieces(word, "N") for word in words[1::2]]
    if len(skus) != len(numbers):
        raise ValueError("give pairs of a SKU and a number of pieces")
    return list(zip(skus, numbers, strict=True))


@contextmanager
def _usage() -> Iterator[None]:
    """What makes no sense in the block is wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _warehouses() -> Sequence[str]:
    try:
        return read_catalog(load(Settings).catalog_file).warehouses_for(None)
    except CatalogError as error:
        refuse(f"CATALOG_FILE: {error.message}")


def _in(work: Callable[[StockRoom], Coroutine[Any, Any, None]]) -> None:
    settings = load(Settings)
    warehouses = _warehouses()

    async def opened() -> None:
        async with open_workplace(settings) as workplace:
            await work(StockRoom(workplace, warehouses))

    run(opened())


def _read(path: Path) -> str:
    try:
        # Spreadsheets begin UTF-8 files with a mark of their own.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StockFileError([str(error.strerror)]) from error
    except UnicodeDecodeError as error:
        raise StockFileError(["it is not UTF-8"]) from error
