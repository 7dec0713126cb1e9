"""The snapshot file: everything that the emulator remembers, kept between runs.

It is written while requests are answered. What can still change is copied first, in one go, so
that the file holds one moment; encoding and writing, which take far longer, follow in a thread.
"""

import json
import marshal
import threading
from pathlib import Path
from typing import IO, Any, Final

from .clock import Clock
from .schedule import Action, Schedule
from .store import Store, StripeObject

_writing: Final = threading.Lock()


class Snapshot:
    """The state at one moment.

    Events are not copied: what they tell never changes, only how far their deliveries are.
    """

    def __init__(self, store: Store, schedule: Schedule, clock: Clock) -> None:
        self._ahead_s = clock.ahead_s
        self._schedule = schedule.dump()
        self._events: dict[str, list[StripeObject]] = {}
        rest: dict[str, list[StripeObject]] = {}
        for account_id, objects in store.dump().items():
            self._events[account_id] = [obj for obj in objects if obj["object"] == "event"]
            rest[account_id] = [obj for obj in objects if obj["object"] != "event"]
        # Of the ways to copy plain values, the fastest by far: requests wait for this.
        self._rest = marshal.dumps(rest)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; a snapshot begun earlier comes first."""
        with _writing:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            with partial.open("w", encoding="utf-8") as file:
                self._write(file)
            partial.replace(path)

    def _write(self, file: IO[str]) -> None:
        rest: dict[str, list[StripeObject]] = marshal.loads(self._rest)  # noqa: S302 - our own
        file.write(f'{{"ahead_s": {self._ahead_s}, "schedule": {json.dumps(self._schedule)}')
        file.write(', "accounts": {')
        for number, (account_id, objects) in enumerate(rest.items()):
            file.write(f"{',' if number else ''}\n{json.dumps(account_id)}: [")
            for position, obj in enumerate([*objects, *self._events[account_id]]):
                # One at a time, so that other threads get their turns.
                file.write(f"{',' if position else ''}\n{json.dumps(obj)}")
            file.write("]")
        file.write("}}\n")


def load(path: Path, store: Store, schedule: Schedule, clock: Clock) -> None:
    """Take up the state of a snapshot file, if there is one."""
    if not path.exists():
        return
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    actions: list[Action] = data["schedule"]
    store.load(data["accounts"])
    schedule.load(actions)
    clock.move(data.get("ahead_s", 0))
