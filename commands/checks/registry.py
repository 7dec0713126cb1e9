"""What a check is, and how checks are registered and run.

A check is one function under `@group.check(…)`: it gets the site and returns a finding. Add
one to a module here and it is run, shown and counted.
"""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from temporalio.client import Client

from adapters.stripe_account import PermissionMissingError, StripeAccount
from adapters.stripe_api import open_stripe
from commands.partial_settings import PartialSettings
from connection import connect_by
from domain.errors import FulfillmentError
from settings import Settings

LIMIT_S = 10.0
"""How long one check may take."""


class State(StrEnum):
    """What came out of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        found: What is so, in a few words, without any secret.
        remedy: What to do about it; empty where nothing is to be done.
    """

    state: State
    found: str
    remedy: str = ""


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(State.OK, found)


def warn(found: str, remedy: str) -> Finding:
    """Works, but somebody should look at it."""
    return Finding(State.WARN, found, remedy)


def fail(found: str, remedy: str) -> Finding:
    """Orders are lost, late or stuck while this is so."""
    return Finding(State.FAIL, found, remedy)


def skipped(found: str, remedy: str = "") -> Finding:
    """Could not, or need not, be looked at."""
    return Finding(State.SKIPPED, found, remedy)


@dataclass(frozen=True)
class Row:
    """A check's name and its finding, as they are shown."""

    check: str
    finding: Finding


@dataclass(frozen=True)
class Site:
    """What the checks look at.

    Attributes:
        temporal: A client that connects when it is first used.
        now: What this machine's clock shows.
    """

    settings: Settings
    account: StripeAccount
    temporal: Client
    now: Callable[[], datetime]


@dataclass(frozen=True, eq=False)
class Check:
    """One check.

    Attributes:
        name: How it is shown.
        look: Does it. What it raises of `domain.errors` is a failure, told in its words.
        remedy: What to do when it raised, or did not come to an end.
        needs: The settings without which it is skipped, by the names of their fields.
        after: The checks that it builds on: skipped unless each was passed or only warned.
    """

    name: str
    look: Callable[[Site], Awaitable[Finding]]
    remedy: str
    needs: tuple[str, ...]
    after: tuple["Check", ...]


@dataclass(frozen=True)
class Group:
    """Checks that are shown together, in the order in which they were registered."""

    checks: list[Check] = field(default_factory=list)

    def check(
        self, name: str, *, remedy: str, needs: Sequence[str] = (), after: Sequence[Check] = ()
    ) -> Callable[[Callable[[Site], Awaitable[Finding]]], Check]:
        """Registers a function as a check; see `Check` for the arguments."""

        def register(look: Callable[[Site], Awaitable[Finding]]) -> Check:
            made = Check(name, look, remedy, tuple(needs), tuple(after))
            self.checks.append(made)
            return made

        return register


@asynccontextmanager
async def open_site(settings: Settings, now: Callable[[], datetime]) -> AsyncIterator[Site]:
    """What the checks look at, for as long as the block; nothing is asked yet."""
    key = settings.stripe_api_key.get_secret_value()
    temporal = await connect_by(settings, lazy=True)
    async with open_stripe(key, api_base=settings.stripe_api_base) as stripe:
        yield Site(settings, StripeAccount(stripe), temporal, now)


async def run(read: PartialSettings, checks: Iterable[Check], site: Site) -> list[Row]:
    """Runs checks side by side, each as soon as those that it builds on are done."""
    running: dict[Check, asyncio.Task[Row]] = {}

    async def result(check: Check) -> Row:
        for earlier in check.after:
            row = await running[earlier]
            if row.finding.state in {State.FAIL, State.SKIPPED}:
                return Row(check.name, skipped(f"needs “{earlier.name}”"))
        unusable = [name.upper() for name in check.needs if name in read.problems]
        if unusable:
            return Row(check.name, skipped(f"needs {', '.join(unusable)}"))
        return Row(check.name, await _looked(check, site))

    for check in checks:
        running[check] = asyncio.create_task(result(check))
    return list(await asyncio.gather(*running.values()))


async def _looked(check: Check, site: Site) -> Finding:
    try:
        async with asyncio.timeout(LIMIT_S):
            return await check.look(site)
    except PermissionMissingError as error:
        # The key need not be able to: only this command asks for more than the worker does.
        return skipped(error.message, "Grant it to the key, or look in Stripe's Dashboard")
    except FulfillmentError as error:
        return fail(error.message, check.remedy)
    except TimeoutError:
        return fail(f"no answer within {LIMIT_S:.0f} s", check.remedy)
    except Exception as error:  # noqa: BLE001 - one check's defect must not hide the others' findings
        # The place, and not the error's own words, which may quote a secret.
        place = traceback.extract_tb(error.__traceback__)[-1]
        return fail(
            f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}",
            "This check is broken; run the doctor again after an update",
        )
