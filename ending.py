"""How programs that reach Temporal end."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn


def run_to_end(main: Callable[[], None]) -> NoReturn:
    """Runs a program, and ends its process with the exit code that it asks for.

    Without the interpreter's own way out: there a thread of Temporal's client that is just
    letting go of Python aborts the process, and what has succeeded counts as failed.

    Source: temporalio/sdk-python, issue 300, "Investigate PyGILState_Release issue for client".
    """
    wanted: object = None
    try:
        main()
    except SystemExit as ended:
        wanted = ended.code
    if isinstance(wanted, str):
        print(wanted, file=sys.stderr)  # noqa: T201 - as the interpreter does
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(wanted if isinstance(wanted, int) else int(wanted is not None))
