"""PostgreSQL and Temporal for all runs of a mutation check, until the standard input ends."""

import json
import sys

from database.migrate import upgrade
from local.postgres import embedded_postgres
from local.temporal import DYNAMIC_CONFIG, embedded_temporal


def main() -> None:
    """Starts both, prints where they are by the names of their fixtures, and waits."""
    quick = {"history.transferProcessorUpdateAckInterval": "1s"}
    with (
        embedded_postgres() as url,
        embedded_temporal(dynamic_config={**DYNAMIC_CONFIG, **quick}) as address,
    ):
        upgrade(url)
        print(json.dumps({"migrated_url": url, "temporal_address": address}), flush=True)  # noqa: T201 - to who started it
        sys.stdin.read()


if __name__ == "__main__":
    main()
