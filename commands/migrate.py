"""`fulfillment migrate`: the database's schema."""

from commands.terminal import say
from database.migrate import upgrade
from settings import DatabaseSettings, load


def migrate() -> None:
    """Brings the database of DATABASE_URL to the newest schema; several may run at once."""
    revision = upgrade(load(DatabaseSettings).database_url.get_secret_value())
    say(f"The database is at revision {revision}")
