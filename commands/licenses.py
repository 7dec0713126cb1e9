"""`fulfillment licenses`: pools of license keys."""

from pathlib import Path
from typing import Annotated

import typer

from commands.terminal import AsJson, answers, print_json, refuse, say, table
from commands.workplace import in_database
from database.licenses import MADE, import_keys, read_pools
from domain.licenses import parse_pool

MOST_PROBLEMS = 20
"""Of a file, to be printed."""
MAX_POOL_LENGTH = 100

app = typer.Typer(no_args_is_help=True, add_completion=False)


def _read(path: Path) -> dict[str, str]:
    """The keys of a file, or the end of the program with what is wrong with it."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        refuse(f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        refuse(f"{path}: it is not UTF-8")
    keys, problems = parse_pool(lines)
    if not keys and not problems:
        problems.append("it holds no keys")
    if problems:
        shown = [*problems[:MOST_PROBLEMS], "nothing is imported"]
        refuse("\n".join(f"{path}: {problem}" for problem in shown))
    return keys


def _pool(name: str) -> str:
    if not 0 < len(name) <= MAX_POOL_LENGTH or not name.isprintable() or name == MADE:
        raise typer.BadParameter(
            f"a pool's name has 1 to {MAX_POOL_LENGTH} characters, and is not {MADE!r}"
        )
    return name


@app.command("show")
def show(*, as_json: AsJson = False) -> None:
    """Prints how many keys each pool has left."""
    levels = in_database(read_pools)
    if as_json:
        print_json([level._asdict() for level in levels])
        return
    listed = table("Pool", "Free", "Issued")
    for level in levels:
        listed.add_row(level.pool, str(level.free), str(level.issued))
    answers().print(listed)


@app.command("import")
def import_(
    pool: Annotated[str, typer.Argument(parser=_pool, metavar="POOL")],
    file: Annotated[Path, typer.Argument(help="One key on each line.")],
) -> None:
    """Adds a file's keys to a pool.

    To import it twice is to import it once: a key that is known already, of whichever pool, stays
    as it is.
    """
    keys = _read(file)
    new = in_database(lambda connection: import_keys(connection, pool, keys))
    say(f"{new} keys imported, {len(keys) - new} were known already")
