"""All of one emulator: what it remembers, what it sends, what it is set to do."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import httpx

from .accounts import new_account
from .clock import Clock
from .config import EmulatorConfig
from .deliveries import Deliveries
from .events import new_event
from .faults import Faults
from .idempotency import IdempotencyKeys
from .schedule import Schedule
from .snapshot import Snapshot, load
from .store import PLATFORM_ACCOUNT, Account, Store, StripeObject
from .targets import ANSWER_TIMEOUT_S, Target

SNAPSHOT_INTERVAL_S: Final = 30.0

ScheduledAction = Callable[["Emulator", Account, str], None]
SCHEDULED_ACTIONS: Final[dict[str, ScheduledAction]] = {}
"""What the schedule can do, by the name that snapshots hold."""


class Emulator:
    """A Stripe of one's own.

    Args:
        config: What was asked for at the start.
        endpoints: Gives the webhook endpoints to deliver to.
    """

    def __init__(
        self,
        config: EmulatorConfig,
        endpoints: Callable[["Emulator"], Iterable[Target]],
    ) -> None:
        self.config = config
        self.clock = Clock()
        self.store = Store()
        self.faults = Faults()
        self.idempotency = IdempotencyKeys()
        self.schedule = Schedule(self._run_scheduled)
        self.listeners: dict[str, Target] = {}
        self.deliveries = Deliveries(
            lambda: [*endpoints(self), *self.listeners.values()], config.time_scale
        )
        self._client: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The HTTP client of deliveries; it never uses a proxy."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=ANSWER_TIMEOUT_S, trust_env=False, follow_redirects=False
            )
        return self._client

    def account(self, account_id: str) -> Account:
        """The account of this ID; a connected one comes into being when it is first named."""
        if self.store.platform.find(account_id) is None:
            self.store.platform.add(new_account(account_id))
        return self.store.account(account_id)

    def emit(
        self,
        account: Account,
        event_type: str,
        obj: StripeObject,
        previous: StripeObject | None = None,
    ) -> StripeObject:
        """Record that something happened to the object, and tell every target that wants it."""
        connected = account.id != PLATFORM_ACCOUNT
        event = new_event(account, event_type, obj, previous, connected=connected)
        self.deliveries.dispatch(event)
        return event

    def advance(self, seconds: float) -> None:
        """Move the clock ahead; what becomes due by that happens before this returns."""
        self.clock.move(self.clock.ahead_s + seconds)
        self.schedule.run_due()

    async def run(self) -> None:
        """Run scheduled actions and save snapshots, until cancelled."""
        await asyncio.gather(self.schedule.keep_running(), self._keep_saving())

    async def close(self) -> None:
        """Save the state, stop deliveries and give back connections."""
        self.save()
        await self.deliveries.close()
        if self._client is not None:
            await self._client.aclose()

    def reset(self) -> None:
        """Forget everything but the configuration."""
        self.deliveries.clear()
        self.store.clear()
        self.idempotency.clear()
        self.schedule.load([])
        self.faults.active.clear()
        self.clock.move(0)

    def load(self) -> None:
        """Take up the state of the snapshot file, if there is one."""
        if self.config.snapshot is not None:
            load(self.config.snapshot, self.store, self.schedule, self.clock)

    def resume_deliveries(self) -> None:
        """Deliver again what no endpoint had accepted when the snapshot was written."""
        for account in self.store.accounts():
            for event in reversed(list(account.newest_first("event"))):
                if event["pending_webhooks"]:
                    self.deliveries.dispatch(event)

    def save(self) -> None:
        """Write the snapshot file."""
        if self.config.snapshot is not None:
            Snapshot(self.store, self.schedule, self.clock).write(self.config.snapshot)

    async def _keep_saving(self) -> None:
        path = self.config.snapshot
        while path is not None:
            await asyncio.sleep(SNAPSHOT_INTERVAL_S)
            snapshot = Snapshot(self.store, self.schedule, self.clock)
            await asyncio.to_thread(snapshot.write, path)

    def _run_scheduled(self, action: str, account_id: str, object_id: str) -> None:
        SCHEDULED_ACTIONS[action](self, self.store.account(account_id), object_id)
