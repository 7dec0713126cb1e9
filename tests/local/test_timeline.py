"""Histories are read as the demo shows them."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

from temporalio.api.common.v1 import ActivityType, Payload, Payloads
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
)
from temporalio.client import WorkflowHandle

from local.timeline import Moment, workflow_moments


class History:
    """A workflow handle with a made-up history."""

    def __init__(self, *events: HistoryEvent) -> None:
        self._events = events

    async def fetch_history_events(self) -> AsyncIterator[HistoryEvent]:
        for event in self._events:
            yield event


async def moments(*events: HistoryEvent) -> list[Moment]:
    return await workflow_moments(cast("WorkflowHandle[Any, Any]", History(*events)))


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 12, 0, second, tzinfo=UTC)


def marker(name: str, scheduled_at: datetime) -> HistoryEvent:
    data = {
        "activity_type": "send_receipt",
        "original_schedule_time": {"seconds": int(scheduled_at.timestamp()), "nanos": 0},
    }
    attributes = MarkerRecordedEventAttributes(marker_name=name)
    payload = Payload(data=json.dumps(data).encode())
    attributes.details["data"].CopyFrom(Payloads(payloads=[payload]))
    event = HistoryEvent(marker_recorded_event_attributes=attributes)
    event.event_time.FromDatetime(at(30))
    return event


async def test_activity_begins_when_it_is_scheduled() -> None:
    event = HistoryEvent(
        activity_task_scheduled_event_attributes=ActivityTaskScheduledEventAttributes(
            activity_type=ActivityType(name="book_shipment")
        )
    )
    event.event_time.FromDatetime(at(5))
    assert await moments(event) == [Moment(at(5), "activity book_shipment begins")]


async def test_local_activity_begins_by_its_markers_own_time() -> None:
    event = marker("core_local_activity", at(7))
    assert await moments(event) == [Moment(at(7), "activity send_receipt begins")]


async def test_other_events_are_left_out() -> None:
    task = HistoryEvent(
        workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes()
    )
    assert await moments(task, marker("core_patch", at(7))) == []
