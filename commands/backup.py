"""`fulfillment backup` and `restore`: the whole database in one file, by PostgreSQL's own programs.

docs/database.md has the drill: what else is to be done after a restore, and what goes out twice.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commands.terminal import refuse, say
from database.migrate import upgrade
from settings import DatabaseSettings, load

_File = Annotated[Path, typer.Argument(metavar="FILE")]


def backup(file: _File) -> None:
    """Writes the database of DATABASE_URL to a file, as of one moment, while all goes on."""
    part = file.with_name(f"{file.name}.part")
    try:
        # It is full of customers' data: for its owner only.
        part.touch(0o600)
        part.chmod(0o600)
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    _run("pg_dump", "--format=custom", f"--file={part}", f"--dbname={_without_password()}")
    # What cannot be read back is no backup.
    _run("pg_restore", "--file=/dev/null", str(part))
    part.replace(file)
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def restore(file: _File) -> None:
    """Reads a backup into the database of DATABASE_URL, which has to be empty."""
    database_url = load(DatabaseSettings).database_url.get_secret_value()
    try:
        with psycopg.connect(database_url) as connection:
            tables = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
            if tables.fetchone():
                refuse("The database is not empty: make a new one, so that nothing is lost")
    except psycopg.OperationalError as error:
        refuse(f"The database cannot be reached: {error}", 75)
    _run(
        "pg_restore",
        *("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"),
        f"--dbname={_without_password()}",
        str(file),
    )
    revision = upgrade(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        counted = connection.execute("SELECT count(*), max(created_at) FROM orders").fetchone()
    count, newest = counted or (0, None)
    say(f"{count} orders, the newest of {newest or 'never'}; revision {revision}")
    say("What happened since then: docs/database.md, Restore")


def _without_password() -> str:
    """Where the database is, for a command line, which everybody on the machine can read."""
    parts = conninfo_to_dict(load(DatabaseSettings).database_url.get_secret_value())
    return make_conninfo("", **{**parts, "password": None})


def _run(program: str, *arguments: str) -> None:
    path = shutil.which(program)
    if path is None:
        refuse(f"{program} is not on the PATH: install PostgreSQL's client programs")
    parts = conninfo_to_dict(load(DatabaseSettings).database_url.get_secret_value())
    password = {"PGPASSWORD": str(parts["password"])} if parts.get("password") else {}
    done = subprocess.run(  # noqa: S603 - the programs above, without a shell
        [path, *arguments],
        env={**os.environ, **password},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        refuse(done.stderr.strip())
