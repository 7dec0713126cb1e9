"""Rollout and rollback of worker versions, as docs/temporal.md tells operators to do them."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest

from commands.checks.registry import open_site
from commands.checks.temporal import worker_version
from domain.orders import OrderState
from local.process import Process
from tests.harness.programs import running, worker_process
from tests.harness.shop import ACCESS
from tests.harness.world import World, eventually

TEMPORAL = Path(sys.executable).with_name("temporal")
UNVERSIONED = ""
SETTLED = "ROUTING_CONFIG_UPDATE_STATE_COMPLETED"


class Deployment:
    """A deployment of one world's workers.

    Args:
        world: Whose.
        folder: Where they run.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._name = f"fulfillment-{uuid4().hex[:8]}"

    def worker(self, build_id: str) -> Process:
        """A worker of this build, which is not started yet; without one, a worker as ever."""
        version = {"TEMPORAL_DEPLOYMENT_NAME": self._name, "TEMPORAL_WORKER_BUILD_ID": build_id}
        variables = version if build_id else {}
        return worker_process(self._world, self._folder, variables, f"worker-{build_id or 'any'}")

    async def make_current(self, build_id: str) -> None:
        """As operators do it, once the server has heard of the build; waits until all of it has."""
        version = ("--build-id", build_id) if build_id else ("--unversioned",)
        await eventually(partial(self._set_current, version))
        await eventually(self._is_settled)

    async def pin(self, session_id: str, build_id: str) -> None:
        """Has one order stay with a build, whichever is current."""
        assert await self._temporal(
            *("workflow", "update-options", "--workflow-id", session_id),
            *("--versioning-override-behavior", "pinned"),
            *("--versioning-override-deployment-name", self._name),
            *("--versioning-override-build-id", build_id),
        )

    async def wait_found(self, expected: str) -> None:
        """Waits until this is what the doctor finds."""

        async def found() -> bool | None:
            return True if await self._examine() == expected else None

        await eventually(found)

    async def _examine(self) -> str:
        settings = self._world.settings.model_copy(update={"temporal_deployment_name": self._name})
        async with open_site(settings, lambda: datetime.now(UTC)) as site:
            finding = await worker_version.look(site)
        return f"{finding.state}: {finding.found}"

    async def _set_current(self, version: Sequence[str]) -> bool | None:
        command = ("worker", "deployment", "set-current-version", "--yes")
        done = await self._temporal(*command, "--deployment-name", self._name, *version)
        return True if done else None

    async def _temporal(self, *arguments: str) -> bool:
        """Runs Temporal's CLI; returns whether that went well."""
        process = await asyncio.create_subprocess_exec(
            TEMPORAL,
            *arguments,
            *("--address", self._world.settings.temporal_address),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() == 0

    async def _is_settled(self) -> bool | None:
        described = await self._world.client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace="default", deployment_name=self._name)
        )
        state = described.worker_deployment_info.routing_config_update_state
        return True if state == RoutingConfigUpdateState.Value(SETTLED) else None


async def _ended_by(world: World, session_id: str) -> list[str]:
    """Has an order's payment arrive; returns the builds that have worked on it, in their order."""
    await world.shop.settle(session_id)
    assert (await world.result(session_id)).state is OrderState.FULFILLED
    history = await world.workflow(session_id).fetch_history()
    builds = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return list(dict.fromkeys(builds))


async def test_orders_follow_the_current_version_there_and_back(
    world: World, tmp_path: Path
) -> None:
    deployment = Deployment(world, tmp_path)
    workers = [deployment.worker(build) for build in (UNVERSIONED, "old", "new")]
    async with running(workers):
        waits_since_ever = await world.buy_delayed(ACCESS)
        await deployment.wait_found("warn: none is current, new, old at work: orders wait")
        await deployment.make_current("old")
        assert await _ended_by(world, waits_since_ever) == [UNVERSIONED, "old"]
        waits_since_old = await world.buy_delayed(ACCESS)

        await deployment.make_current("new")
        await deployment.wait_found("ok: new is current")
        pinned, waits_since_new = [await world.buy_delayed(ACCESS) for _ in range(2)]
        assert await _ended_by(world, waits_since_old) == ["old", "new"]

        await deployment.pin(pinned, "new")
        await deployment.make_current("old")
        assert await _ended_by(world, waits_since_new) == ["new", "old"]
        assert await _ended_by(world, pinned) == ["new"]
        assert await _ended_by(world, await world.buy_delayed(ACCESS)) == ["old"]

        await deployment.make_current(UNVERSIONED)
        assert await _ended_by(world, await world.buy_delayed(ACCESS)) == [UNVERSIONED]
