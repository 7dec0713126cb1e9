"""`fulfillment prune`, run as a program, in two years of orders."""

import json
from pathlib import Path

import psycopg
import pytest

from database.tables import metadata
from tests.commands.programs import Ended, run_command
from tests.harness.many_orders import fill

GOES = {"access_log", "tracking_events", "message_attempts", "messages", "alerts"}
OLD = {
    "access_log": "at < now() - interval '400 days'",
    "tracking_events": "created_at < now() - interval '400 days'",
    "message_attempts": "at < now() - interval '400 days'",
    "messages": "created_at < now() - interval '400 days'",
    "alerts": "created_at < now() - interval '400 days'",
}


@pytest.fixture(scope="module")
def filled_url(database_url: str) -> str:
    fill(database_url, 2000)
    with psycopg.connect(database_url) as connection:
        # As old, and all the same nothing to forget: not told, not delivered, not closed.
        for statement in (
            "UPDATE messages SET state = 'pending' WHERE id IN "
            "(SELECT id FROM messages ORDER BY created_at LIMIT 1)",
            "UPDATE tracking_events SET told_at = NULL WHERE id IN "
            "(SELECT id FROM tracking_events ORDER BY created_at LIMIT 1)",
        ):
            connection.execute(statement)
    return database_url


async def prune(database_url: str, folder: Path, *words: str) -> Ended:
    return await run_command(folder, {"DATABASE_URL": database_url}, "prune", *words)


def counts(database_url: str, **conditions: str) -> dict[str, int]:
    with psycopg.connect(database_url) as connection:
        found = {
            table: connection.execute(
                f"SELECT count(*) FROM {table} WHERE {conditions.get(table, 'true')}"  # noqa: S608 - our own words
            ).fetchone()
            for table in metadata.tables
        }
    return {table: row[0] for table, row in found.items() if row is not None}


def told(ended: Ended) -> dict[str, int]:
    assert ended.code == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines()]
    return {row[0]: int(row[1]) for row in rows if row and row[0] in GOES}


async def test_old_logs_go_and_the_books_stay(filled_url: str, tmp_path: Path) -> None:
    before = counts(filled_url)
    foretold = told(await prune(filled_url, tmp_path, "--before", "400d", "--dry-run"))
    assert counts(filled_url) == before
    assert foretold.keys() == GOES

    archive = tmp_path / "old.jsonl"
    words = ("--before", "400d", "--yes", "--archive", str(archive))
    deleted = told(await prune(filled_url, tmp_path, *words))
    after = counts(filled_url)
    assert {table: before[table] - after[table] for table in GOES} == deleted
    assert all(deleted.values())
    for table in before.keys() - GOES:
        assert after[table] == before[table], table
    # What is left of the old: what waits still, and its tries.
    left = {table: count for table, count in counts(filled_url, **OLD).items() if table in GOES}
    assert left["access_log"] == 0
    assert left["tracking_events"] == 1
    assert (left["messages"], left["message_attempts"]) == (1, 1)

    kept = [json.loads(line) for line in archive.read_text().splitlines()]
    assert len(kept) == sum(deleted.values())
    assert archive.stat().st_mode & 0o777 == 0o600
    assert {"table", "session_id", "event", "ip", "at"} <= kept[0].keys()

    assert not any(told(await prune(filled_url, tmp_path, "--before", "400d", "--yes")).values())


async def test_what_a_bank_may_ask_for_stays(filled_url: str, tmp_path: Path) -> None:
    ended = await prune(filled_url, tmp_path, "--before", "119d", "--yes")
    assert ended.code == 2
    assert "120 days" in ended.err
