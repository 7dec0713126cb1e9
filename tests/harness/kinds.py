"""Runs a kind's delivery here and now: the worker's own activities, without Temporal around."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from activities.progress import Progress
from domain.ids import FulfillmentRef
from tests.harness.world import World
from worker import assembled_worker
from workflows import options
from workflows.catalog_file import read_catalog
from workflows.fulfillment.kind import FulfillmentKind, KindContext
from workflows.steps import Step

Activity = Callable[..., Awaitable[Any]]


class DirectStep(Step):
    """Calls activities at once, each one time; what they raise comes out as it is.

    Attributes:
        progress: What the last activity said that can wait.
    """

    def __init__(self, ref: FulfillmentRef, activities: Sequence[Activity]) -> None:
        super().__init__(ref.session_id, ref.step, ref, frozenset(), on_change=lambda: None)
        self._bound = {each.__func__: each for each in activities}  # type: ignore[attr-defined]
        self.progress = Progress()

    async def execute(self, activity: Any, request: Any, how: options.StepOptions) -> Any:  # noqa: ARG002 - nothing is retried
        return await self._bound[activity](request)

    async def until_done(self, activity: Any, request: Any, how: options.StepOptions) -> None:
        self.progress = await self.execute(activity, request, how)


@asynccontextmanager
async def activities_of_worker(
    world: World, kinds: Sequence[FulfillmentKind[Any]]
) -> AsyncIterator[list[Activity]]:
    """All activities that a worker runs, and those that these kinds bring along."""
    catalog = read_catalog(world.settings.catalog_file)
    async with assembled_worker(world.settings, world.client, catalog) as workers:
        context = KindContext(world.database)
        brought = [each.activities(context) for each in kinds if each.activities is not None]
        yield [*workers.activities, *(activity for some in brought for activity in some)]
