"""Checks of Temporal: the server, the namespace, who works and what watches over it.

Source: Temporal's pages "Namespaces", "Retention Period" and "Task Queues".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from commands.checks.registry import Finding, Group, Site, fail, ok, skipped, warn
from domain.concerns import Concern
from domain.errors import TransientError
from workflows.schedule import schedule_id

MIN_RETENTION = timedelta(days=30)
"""So long Stripe can resend an event: until then the ID of an order's workflow is to be kept."""
PROPOSED_RETENTION = "90d"
POLL_PERIOD = timedelta(seconds=90)
"""A worker asks for work once a minute or more often."""
REACH_TEMPORAL = (
    "Start the Temporal server, or mend TEMPORAL_ADDRESS, TEMPORAL_API_KEY or TEMPORAL_TLS_…"
)

group = Group()


@group.check(
    "Temporal",
    needs=["temporal_address", "temporal_config_file", "temporal_profile", "temporal_tls"],
    remedy=REACH_TEMPORAL,
)
async def temporal_server(site: Site) -> Finding:
    """Whether the server answers."""
    address = site.settings.temporal_address
    with _calling():
        healthy = await site.temporal.service_client.check_health()
    return ok(address) if healthy else fail(f"{address} is not serving", REACH_TEMPORAL)


@group.check(
    "Temporal namespace",
    needs=["temporal_namespace"],
    after=[temporal_server],
    remedy=REACH_TEMPORAL,
)
async def temporal_namespace(site: Site) -> Finding:
    """Whether the namespace is there."""
    name = site.settings.temporal_namespace
    with _calling():
        try:
            await _namespace(site)
        except RPCError as error:
            # On Temporal Cloud, a worker's key need not be allowed to ask for it.
            if error.status is RPCStatusCode.PERMISSION_DENIED:
                return ok(f"{name}, which may not be described to us")
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return fail(
                f"{name} does not exist",
                f"temporal operator namespace create -n {name} --retention {PROPOSED_RETENTION}",
            )
    return ok(name)


@group.check("Temporal retention", after=[temporal_namespace], remedy=REACH_TEMPORAL)
async def temporal_retention(site: Site) -> Finding:
    """Whether closed workflows keep their ID for as long as Stripe can resend an event."""
    with _calling():
        try:
            described = await _namespace(site)
        except RPCError as error:
            if error.status is RPCStatusCode.PERMISSION_DENIED:
                return skipped(
                    "may not be described to us", f"See that it is at least {MIN_RETENTION.days} d"
                )
            raise
    kept = described.config.workflow_execution_retention_ttl.ToTimedelta()
    if kept < MIN_RETENTION:
        return warn(
            f"{kept.days} d; Stripe can resend an event for {MIN_RETENTION.days} d",
            f"temporal operator namespace update -n {site.settings.temporal_namespace}"
            f" --retention {PROPOSED_RETENTION}",
        )
    return ok(f"{kept.days} d")


@group.check(
    "worker", needs=["temporal_task_queue"], after=[temporal_namespace], remedy=REACH_TEMPORAL
)
async def worker_polls(site: Site) -> Finding:
    """Whether somebody works."""
    own = site.settings.temporal_task_queue
    split = site.settings.split_task_queues
    queues = {each.queue(own): each for each in Concern} if split else {own: Concern.FULFILLMENT}
    working = {
        queue: len({poller.identity for poller in await _pollers(site, queue, concern)})
        for queue, concern in queues.items()
    }
    lacking = [queue for queue, workers in working.items() if not workers]
    if lacking:
        return warn(
            f"none on the task queue {', '.join(lacking)}: orders wait",
            "Start one: python worker.py, with the same TEMPORAL_… settings",
        )
    found = (f"{workers} on the task queue {queue}" for queue, workers in working.items())
    return ok(", ".join(found))


@group.check(
    "worker version",
    needs=["temporal_deployment_name"],
    after=[worker_polls],
    remedy=REACH_TEMPORAL,
)
async def worker_version(site: Site) -> Finding:
    """Whether the version that gets the orders is one that works."""
    deployment = site.settings.temporal_deployment_name
    if not deployment:
        return ok("workers have none")
    polling = {
        poller.deployment_options.build_id
        for poller in await _pollers(site, site.settings.temporal_task_queue, Concern.FULFILLMENT)
        if poller.deployment_options.deployment_name == deployment
    }
    request = DescribeWorkerDeploymentRequest(
        namespace=site.settings.temporal_namespace, deployment_name=deployment
    )
    with _calling():
        try:
            described = await site.temporal.workflow_service.describe_worker_deployment(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return warn(
                f"no worker of the deployment {deployment} was ever there",
                "Start one: python worker.py, with the same TEMPORAL_… settings",
            )
    routing = described.worker_deployment_info.routing_config
    current = routing.current_deployment_version.build_id
    if current not in polling:
        return warn(
            f"{current or 'none'} is current, {', '.join(sorted(polling)) or 'none'} at work:"
            " orders wait",
            f"temporal worker deployment set-current-version --deployment-name {deployment}"
            f" --build-id {min(polling, default='…')} -n {site.settings.temporal_namespace}",
        )
    return ok(f"{current} is current")


@group.check("reconciliation", after=[temporal_namespace], remedy=REACH_TEMPORAL)
async def reconciliation(site: Site) -> Finding:
    """Whether sales that no event told of are looked for."""
    wanted = schedule_id(site.settings.temporal_task_queue)
    with _calling():
        try:
            schedule = await site.temporal.get_schedule_handle(wanted).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return warn(
                f"no schedule {wanted}: a sale that no event told of is not noticed",
                "Start a worker (python worker.py): it makes the schedule",
            )
    if schedule.schedule.state.paused:
        return warn(
            f"the schedule {wanted} is paused",
            f"temporal schedule toggle --schedule-id {wanted} --unpause --reason …"
            f" -n {site.settings.temporal_namespace}",
        )
    return ok(f"schedule {wanted}")


async def _pollers(site: Site, queue: str, concern: Concern) -> list[PollerInfo]:
    """Who has asked for its work lately."""
    request = DescribeTaskQueueRequest(
        namespace=site.settings.temporal_namespace,
        task_queue=TaskQueue(name=queue),
        # The other concerns' workers run activities only.
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        if concern is Concern.FULFILLMENT
        else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    with _calling():
        described = await site.temporal.workflow_service.describe_task_queue(request)
    polled_since = site.now() - POLL_PERIOD
    return [
        poller
        for poller in described.pollers
        if poller.last_access_time.ToDatetime(UTC) > polled_since
    ]


async def _namespace(site: Site) -> DescribeNamespaceResponse:
    request = DescribeNamespaceRequest(namespace=site.settings.temporal_namespace)
    return await site.temporal.workflow_service.describe_namespace(request)


@contextmanager
def _calling() -> Iterator[None]:
    """Tells what calls of the server raise in our own tree."""
    try:
        yield
    except RPCError as error:
        raise TransientError("temporal_unavailable", f"Temporal: {error.status.name}") from error
    except RuntimeError as error:
        # What a lazy client raises that has never reached its server.
        raise TransientError("temporal_unavailable", "Temporal cannot be reached") from error
