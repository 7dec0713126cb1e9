"""Pools of license keys: `python -m commands.licenses import POOL FILE | show`.

A file has one key on each line. To import it twice is to import it once: a key that is known
already, of whichever pool, stays as it is.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from database.engine import Database
from database.licenses import MADE, import_keys, read_pools
from domain.errors import FulfillmentError
from domain.licenses import parse_pool
from settings import DatabaseSettings, load

MOST_PROBLEMS = 20
"""Of a file, to be printed."""
MAX_POOL_LENGTH = 100


async def _import(database: Database, pool: str, keys: dict[str, str]) -> None:
    async with database.transaction() as connection:
        new = await import_keys(connection, pool, keys)
    print(f"{new} keys imported, {len(keys) - new} were known already")  # noqa: T201 - its answer


async def _show(database: Database) -> None:
    async with database.transaction() as connection:
        levels = await read_pools(connection)
    table = Table("Pool", "Free", "Issued")
    for level in levels:
        table.add_row(level.pool, str(level.free), str(level.issued))
    Console(soft_wrap=True, width=None if sys.stdout.isatty() else 200).print(table)


def _read(path: Path) -> dict[str, str]:
    """The keys of a file, or the end of the program with what is wrong with it."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        sys.exit(f"{path}: it is not UTF-8")
    keys, problems = parse_pool(lines)
    if not keys and not problems:
        problems.append("it holds no keys")
    if problems:
        shown = [*problems[:MOST_PROBLEMS], "nothing is imported"]
        sys.exit("\n".join(f"{path}: {problem}" for problem in shown))
    return keys


def _pool(name: str) -> str:
    if not 0 < len(name) <= MAX_POOL_LENGTH or not name.isprintable() or name == MADE:
        raise argparse.ArgumentTypeError(
            f"a pool's name has 1 to {MAX_POOL_LENGTH} characters, and is not {MADE!r}"
        )
    return name


async def _run(settings: DatabaseSettings, pool: str | None, keys: dict[str, str]) -> None:
    async with Database(settings.database_url.get_secret_value()) as database:
        await (_show(database) if pool is None else _import(database, pool, keys))


def main() -> None:
    """Runs the command line; exit code 1 for a problem, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.licenses",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="print how many keys each pool has left")
    importing = commands.add_parser("import", help="add a file's keys to a pool")
    importing.add_argument("pool", type=_pool, metavar="POOL")
    importing.add_argument("file", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    is_import = arguments.command == "import"
    keys = _read(arguments.file) if is_import else {}
    settings = load(DatabaseSettings)
    try:
        asyncio.run(_run(settings, arguments.pool if is_import else None, keys))
    except FulfillmentError as error:
        sys.exit(f"{error.code}: {error.message}")


if __name__ == "__main__":
    main()
