"""What an order costs, as docs/cost.md says, counted in the histories of this release.

Source: Temporal's documentation, "Temporal Cloud Actions".
"""

import re
from collections.abc import Iterable

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from tests.replay.sequences import HISTORIES, ROOT, VERSION

COUNTED = {
    "workflow_execution_started_event_attributes",
    "workflow_execution_signaled_event_attributes",
    "workflow_execution_update_accepted_event_attributes",
    "timer_started_event_attributes",
    "upsert_workflow_search_attributes_event_attributes",
}
"""An action each."""
MARKERS = "marker_recorded_event_attributes"
STARTED = "activity_task_started_event_attributes"
UPSERT = "upsert_workflow_search_attributes_event_attributes"
CHANGE_VERSION = "TemporalChangeVersion"
ROW = re.compile(r"\| .* \| `(\w+)` \| (\d+) \| (\d+) \| ([\d.]+) \|")


def actions_of(events: Iterable[HistoryEvent]) -> int:
    """How many actions Temporal Cloud counts."""
    actions = 0
    tasks = set()
    for event in events:
        kind = event.WhichOneof("attributes")
        if kind == MARKERS:
            # Those of one workflow task count once: local activities, and patches.
            tasks.add(event.marker_recorded_event_attributes.workflow_task_completed_event_id)
        elif kind == STARTED:
            actions += event.activity_task_started_event_attributes.attempt
        elif kind == UPSERT:
            named = event.upsert_workflow_search_attributes_event_attributes.search_attributes
            actions += set(named.indexed_fields) != {CHANGE_VERSION}
        # Signal-with-start is one action, though it leaves two events.
        elif kind in COUNTED and not (
            event.event_id == 2 and kind == "workflow_execution_signaled_event_attributes"
        ):
            actions += 1
    return actions + len(tasks)


def table() -> dict[str, tuple[int, int, float]]:
    """What docs/cost.md says: actions, events and KiB by path."""
    text = (ROOT / "docs/cost.md").read_text()
    return {
        row[1]: (int(row[2]), int(row[3]), float(row[4]))
        for row in map(ROW.match, text.splitlines())
        if row is not None
    }


def counted(name: str) -> tuple[int, int, float]:
    """The same of a history of this release."""
    events = WorkflowHistory.from_json("any", HISTORIES[f"{VERSION}-{name}"]).events
    size = sum(event.ByteSize() for event in events)
    return actions_of(events), len(events), round(size / 1024, 1)


def test_each_path_is_in_the_table() -> None:
    recorded = {name.removeprefix(f"{VERSION}-") for name in HISTORIES if VERSION in name}
    assert set(table()) == recorded


@pytest.mark.parametrize("name", table())
def test_a_path_costs_what_the_table_says(name: str) -> None:
    assert table()[name] == counted(name)
