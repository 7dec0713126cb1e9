"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from database.engine import CONNECT_TIMEOUT_S, sqlalchemy_url

# Any number that no other program takes in this database: two processes that start at
# once migrate one after the other.
_MIGRATION_LOCK = 4_242_424_242


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for work on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str) -> str:
    """Migrates to the newest revision, which it returns; safe to run from many processes."""
    engine = create_engine(
        sqlalchemy_url(database_url), connect_args={"connect_timeout": CONNECT_TIMEOUT_S}
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config = alembic_config(connection)
        command.upgrade(config, "head")
        revision = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return revision or ""


def newest_revision() -> str:
    """The revision that this code needs."""
    migrations = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    return migrations.get_current_head() or ""
