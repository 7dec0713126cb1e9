"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from database.engine import CONNECT_TIMEOUT_S, sqlalchemy_url
from database.revisions import is_behind

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
    """Migrates to the newest revision; safe to run from many processes.

    Leaves alone what a newer release has migrated: this one was rolled back to.

    Returns:
        The revision that the database is at now.
    """
    engine = create_engine(
        sqlalchemy_url(database_url), connect_args={"connect_timeout": CONNECT_TIMEOUT_S}
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        context = MigrationContext.configure(connection)
        if is_behind(context.get_current_revision()):
            command.upgrade(alembic_config(connection), "head")
        revision = context.get_current_revision()
    engine.dispose()
    return revision or ""
