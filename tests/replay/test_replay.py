"""Histories of every release replay under today's code, which asks for the same in order."""

import json
import re
from difflib import unified_diff

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.workflow import NondeterminismError

from tests.replay.paths import PATHS, name_of
from tests.replay.sequences import HISTORIES, ROOT, VERSION, read, replay


def test_this_release_has_a_history_of_every_path() -> None:
    of_release = {name for name in HISTORIES if name.startswith(f"{VERSION}-")}
    assert of_release == {f"{VERSION}-{name_of(path)}" for path in PATHS}


def test_a_history_has_each_patch() -> None:
    """Without one, the patch can go and nothing tells."""
    named = {
        name
        for module in (ROOT / "workflows").rglob("*.py")
        for name in re.findall(r"patched\(\"([^\"]+)\"\)", module.read_text())
    }
    asked = {line for name in HISTORIES for line in read(name)}
    assert named
    assert {name for name in named if f"set_patch_marker {name}" not in asked} == set()


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_recorded_history_replays_by_the_same_sequence(name: str) -> None:
    differs = "\n".join(unified_diff(read(name), await replay(HISTORIES[name]), lineterm=""))
    assert not differs, f"running orders see it: keep them from it by workflow.patched\n{differs}"


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_history_of_untraced_orders_replays_where_they_are_traced(name: str) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer(__name__)
    await replay(HISTORIES[name], [TracingInterceptor(tracer)])


async def test_another_sequence_of_steps_does_not_replay() -> None:
    history = json.loads(next(text for name, text in HISTORIES.items() if "mixed" in name))
    markers = [event for event in history["events"] if "markerRecordedEventAttributes" in event]
    # As if the receipt had once been sent before the deliveries.
    one, other = markers[1], markers[-2]
    key = "markerRecordedEventAttributes"
    one[key], other[key] = other[key], one[key]
    with pytest.raises(NondeterminismError):
        await replay(json.dumps(history))
