"""What a workflow did and when, read from its history."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle


@dataclass(frozen=True, order=True)
class Moment:
    """Something that happened."""

    at: datetime
    what: str


async def workflow_moments(handle: WorkflowHandle[Any, Any]) -> list[Moment]:
    """The workflow's start, the beginning of each activity, and the workflow's end."""
    moments = []
    async for event in handle.fetch_history_events():
        at = event.event_time.ToDatetime(tzinfo=UTC)
        match event.WhichOneof("attributes"):
            case "workflow_execution_started_event_attributes":
                moments.append(Moment(at, "workflow begins"))
            case "activity_task_scheduled_event_attributes":
                activity = event.activity_task_scheduled_event_attributes.activity_type.name
                moments.append(Moment(at, f"activity {activity} begins"))
            case "marker_recorded_event_attributes":
                moments += _local_activity(event)
            case "workflow_execution_completed_event_attributes":
                moments.append(Moment(at, "workflow completed"))
    return moments


def _local_activity(event: HistoryEvent) -> list[Moment]:
    """A local activity has no events of its own: a marker tells of it later.

    Of the marker's two times only that of scheduling is by the clock; that of completion
    counts from a workflow task's start, some milliseconds behind.
    """
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != "core_local_activity":
        return []
    data = json.loads(marker.details["data"].payloads[0].data)
    time = data["original_schedule_time"]
    at = datetime.fromtimestamp(time["seconds"] + time["nanos"] / 1e9, UTC)
    return [Moment(at, f"activity {data['activity_type']} begins")]
