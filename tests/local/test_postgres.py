"""The embedded PostgreSQL: its data, its processes, who gets in."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from local.ports import free_port
from local.postgres import Cluster, embedded_postgres
from local.process import PartFailedError, Process
from tests.local.waiting import eventually

STARTS_POSTGRES_AND_DIES = """
import os, signal, sys
from pathlib import Path
import psycopg
from local.postgres import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as url:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: as root, PostgreSQL runs as a user who cannot enter it.
    with tempfile.TemporaryDirectory(prefix="postgres-test-") as path:
        yield Path(path)


def servers(folder: Path) -> list[int]:
    """The process numbers of the PostgreSQL servers on the folder."""
    return [
        process.pid
        # Asked for all at once: a process may end between two questions.
        for process in psutil.process_iter(["name", "status", "cmdline"])
        if process.info["name"] == "postgres"
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and str(folder) in " ".join(process.info["cmdline"] or [])
    ]


def read_answer(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    return row and row[0]


def test_data_stays_and_no_process_does(folder: Path) -> None:
    with embedded_postgres(folder) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        assert servers(folder)
    assert not servers(folder)
    with embedded_postgres(folder) as url:
        assert read_answer(url) == 42


def test_is_version_18_and_syncs_to_disk(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_killed_owner_leaves_no_server_and_committed_data(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTS_POSTGRES_AND_DIES, str(folder)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    eventually(lambda: not servers(folder))
    with embedded_postgres(folder) as url:
        assert read_answer(url) == 42


def test_server_that_outlived_owner_and_guard_is_ended_by_the_next(folder: Path) -> None:
    leftover = Process(Cluster(folder, free_port()).part(), folder / "log")
    leftover.start()
    leftover.wait_ready(30)
    try:
        with embedded_postgres(folder) as url, psycopg.connect(url):
            with pytest.raises(PartFailedError, match="postgres ended"):
                leftover.check()
            assert len(servers(folder)) == 1
    finally:
        leftover.stop()


def test_pid_file_that_names_a_stranger_is_ignored(folder: Path, database_url: str) -> None:
    with embedded_postgres(folder):
        pass
    with psycopg.connect(database_url) as elsewhere:
        # A process of the same system user: of others PostgreSQL knows that they are not it.
        stranger = elsewhere.info.backend_pid
        (folder / "data" / "postmaster.pid").write_text(f"{stranger}\n{folder / 'data'}\n")
        with embedded_postgres(folder) as url, psycopg.connect(url):
            pass
        elsewhere.execute("SELECT 1")


def test_broken_off_first_start_is_repeated(folder: Path) -> None:
    half = folder / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    with embedded_postgres(folder) as url, psycopg.connect(url):
        pass


def test_data_of_another_version_is_refused_with_its_reason(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("16\n")
    with (
        pytest.raises(PartFailedError, match="was made by PostgreSQL 16, this is 18"),
        embedded_postgres(folder),
    ):
        pass


def test_nobody_gets_in_without_the_password(database_url: str) -> None:
    user, _, rest = database_url.partition("@")
    without = f"{user.rpartition(':')[0]}@{rest}"
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(without)
