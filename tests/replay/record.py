"""Records one history per path of the workflow: `python -m tests.replay.record VERSION [PATH …]`.

Each release adds the histories of its own code and keeps the older ones: a running order
that began under an older release must replay under every later one.
"""

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from database.migrate import upgrade
from local.postgres import embedded_postgres
from local.temporal import embedded_temporal
from tests.harness.world import open_world
from tests.replay.paths import PATHS, SETTINGS, name_of, worker_of
from workflows.client import connect

HISTORIES = Path(__file__).parent / "histories"


async def _record(version: str, names: Collection[str]) -> None:
    with (
        embedded_postgres() as database_url,
        embedded_temporal() as address,
        tempfile.TemporaryDirectory() as folder,
    ):
        upgrade(database_url)
        client = await connect(address, "default")
        for path in PATHS:
            name = name_of(path)
            if names and name not in names:
                continue
            work = Path(folder) / name
            work.mkdir()
            opened = open_world(database_url, client, address, work, **SETTINGS.get(path, {}))
            async with opened as world:
                async with worker_of(path, world):
                    workflow_id = await path(world)
                history = await world.workflow(workflow_id).fetch_history()
            file = HISTORIES / f"{version}-{name}.json"
            file.write_text(json.dumps(_anonymous(json.loads(history.to_json())), indent=1) + "\n")
            print(f"{file.name}: {len(history.events)} events")  # noqa: T201 - a command's answer


def _anonymous(value: object) -> object:
    """Leaves out which machine recorded it: its name, and the folders in stack traces."""
    if isinstance(value, dict):
        return {key: "" if key == "stackTrace" else _anonymous(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_anonymous(part) for part in value]
    return value.replace(socket.gethostname(), "host") if isinstance(value, str) else value


if __name__ == "__main__":
    asyncio.run(_record(sys.argv[1], sys.argv[2:]))
