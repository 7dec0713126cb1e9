"""Migrations bring a database to exactly what the tables say."""

from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from database.engine import sqlalchemy_url
from database.migrate import newest_revision, upgrade
from database.tables import metadata


def test_migrations_and_tables_agree(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE several"))
    engine.dispose()
    base, _, _ = database_url.rpartition("/")
    with ThreadPoolExecutor() as threads:
        revisions = list(threads.map(upgrade, [f"{base}/several"] * 4))
    assert revisions == [newest_revision()] * 4
