"""What each workflow asks of Temporal, in order, along every recorded history.

    python -m tests.replay.sequences

writes those of this release anew, after its histories were; those of others stay as they are. Where
running orders are to see a change, as of a timer's length, delete the file that differs before.

Replay compares less: neither how long a timer is, nor what else a workflow task asks for beside
what its history has (search attributes, details), nor the order of these; and a history that is
recorded anew says nothing of what it was before. Here a change is a difference in a file, for
whoever reviews it: with `workflow.patched` running orders go on as before, and it stays the same.
"""

import asyncio
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import (
    Interceptor,
    Replayer,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from worker import WORKFLOWS

ROOT = Path(__file__).parent.parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
HISTORIES = {
    file.stem: file.read_text()
    for file in sorted((Path(__file__).parent / "histories").glob("*.json"))
}
SEQUENCES = Path(__file__).parent / "sequences"
_OF_ACTIVITIES = frozenset({"schedule_activity", "schedule_local_activity"})


async def replay(history: str, interceptors: Sequence[Interceptor] = ()) -> list[str]:
    """Replays a history under today's code.

    Returns:
        What the workflow asks for, one line each; a blank one ends a workflow task.

    Raises:
        workflow.NondeterminismError: Today's code does something else.
    """
    noting = _Noting()
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        interceptors=interceptors,
        workflow_runner=noting,
    )
    started = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    await replayer.replay_workflow(WorkflowHistory.from_json(started["workflowId"], history))
    return noting.lines


class _Noting(WorkflowRunner):
    """Temporal's sandbox, of which every answer to the server is noted."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._sandbox = SandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:
        self._sandbox.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _NotingInstance(self._sandbox.create_instance(det), self.lines)


class _NotingInstance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, lines: list[str]) -> None:
        self._instance = instance
        self._lines = lines

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = self._instance.activate(act)
        commands = completion.successful.commands
        if commands:
            self._lines.extend((*map(_line, commands), ""))
        return completion

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_serialization_context(self, *arguments: Any) -> Any:
        return self._instance.get_serialization_context(*arguments)

    def get_external_store_context(self, *arguments: Any) -> Any:
        return self._instance.get_external_store_context(*arguments)


def _line(command: WorkflowCommand) -> str:
    name = str(command.WhichOneof("variant"))
    asked: Any = getattr(command, name)
    if name in _OF_ACTIVITIES:
        return f"{name} {asked.activity_type}"
    if name == "start_timer":
        return f"{name} {asked.start_to_fire_timeout.ToTimedelta()}"
    if name == "set_patch_marker":
        return f"{name} {asked.patch_id}"
    if name == "update_response":
        return f"{name} {asked.WhichOneof('response')}"
    return name


def write(name: str, lines: Sequence[str]) -> None:
    """Keeps what was asked for along a history."""
    (SEQUENCES / f"{name}.txt").write_text("\n".join(lines))


def read(name: str) -> list[str]:
    """What was asked for along a history when it was recorded."""
    return (SEQUENCES / f"{name}.txt").read_text().split("\n")


async def _write_all() -> None:
    SEQUENCES.mkdir(exist_ok=True)
    for name, history in HISTORIES.items():
        if name.startswith(f"{VERSION}-") or not (SEQUENCES / f"{name}.txt").exists():
            write(name, await replay(history))


if __name__ == "__main__":
    asyncio.run(_write_all())
