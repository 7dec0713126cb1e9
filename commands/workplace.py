"""What operators' commands work with, opened for as long as a command runs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client

from activities.desk import Desk
from activities.messages import Messages
from activities.refunds import Refunder
from activities.stock_queue import StockQueue
from commands.terminal import run
from connection import connect_by
from database.engine import Database
from domain.links import Links
from settings import DatabaseSettings, Settings, load
from workflows.catalog_file import read_catalog
from workflows.client import Fulfillments
from workflows.operators import Operators
from workflows.outbox import WorkflowOutbox

_T = TypeVar("_T")


def in_database(work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
    """Works within one transaction in the database of DATABASE_URL, which is all that it needs.

    Raises:
        typer.Exit: It cannot be done, or not now.
    """

    async def connected(database_url: str) -> _T:
        async with Database(database_url) as database, database.transaction() as connection:
            return await work(connection)

    return run(connected(load(DatabaseSettings).database_url.get_secret_value()))


@dataclass(frozen=True)
class Workplace:
    """Everything outside that an operator may use; Temporal is called when it is first needed."""

    settings: Settings
    database: Database
    temporal: Client

    @property
    def operators(self) -> Operators:
        """Decides about steps."""
        return Operators(self.temporal)

    @property
    def fulfillments(self) -> Fulfillments:
        """Starts workflows, and wakes them."""
        return Fulfillments(self.temporal, self.settings.temporal_task_queue)

    @property
    def links(self) -> Links:
        """What customers get."""
        secrets = [secret.get_secret_value() for secret in self.settings.signing_secrets]
        return Links(self.settings.public_url, secrets)

    @property
    def _outbox(self) -> WorkflowOutbox:
        return WorkflowOutbox(self.temporal, self.settings.temporal_task_queue)

    def desk(self) -> Desk:
        """Does to an order as a whole what is asked for.

        Raises:
            CatalogError: The catalog file is broken.
        """
        refunder = Refunder(self._outbox, read_catalog(self.settings.catalog_file))
        public_url = self.settings.public_url
        return Desk(self.database, self._outbox, refunder, self.fulfillments, public_url)

    @property
    def stock_queue(self) -> StockQueue:
        """Who waits for stock."""
        return StockQueue(self.database, self.fulfillments)

    @property
    def messages(self) -> Messages:
        """Tells the merchant's own application."""
        return Messages(self._outbox, wanted=bool(self.settings.app_webhook_url))


@asynccontextmanager
async def open_workplace(settings: Settings) -> AsyncIterator[Workplace]:
    """Opens what these settings name."""
    temporal = await connect_by(settings, lazy=True)
    async with Database(settings.database_url.get_secret_value()) as database:
        yield Workplace(settings, database, temporal)
