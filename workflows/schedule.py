"""The schedule of reconciliation, as Temporal keeps it.

Source: Temporal's documentation, "Schedules".
"""

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)

from workflows import options
from workflows.reconcile import WORKFLOW


def schedule_id(task_queue: str) -> str:
    """The ID of the schedule; one per task queue, as that is one deployment."""
    return f"reconcile-{task_queue}"


async def ensure_schedule(client: Client, task_queue: str) -> None:
    """Makes the schedule, or brings the one that is there to what this code says.

    Safe to call from every worker at every start. A paused schedule stays paused.
    """
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(
            WORKFLOW,
            id=schedule_id(task_queue),
            task_queue=task_queue,
            execution_timeout=options.SWEEP_LIMIT,
            static_summary="Looks for paid sessions that no event told of",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=options.SWEEP_EVERY)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=options.SWEEP_EVERY
        ),
    )
    try:
        # The first one at once: it notes from when on orders are ours.
        await client.create_schedule(schedule_id(task_queue), wanted, trigger_immediately=True)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id(task_queue))
        await handle.update(
            lambda found: ScheduleUpdate(
                schedule=Schedule(
                    action=wanted.action,
                    spec=wanted.spec,
                    policy=wanted.policy,
                    state=found.description.schedule.state,
                )
            )
        )
