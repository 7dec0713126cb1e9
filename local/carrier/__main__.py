"""Runs the carrier until a signal says stop."""

import argparse
from pathlib import Path

from local.carrier.app import create_app
from local.carrier.courier import Callbacks
from local.ports import LOCALHOST
from local.web import serve

PACE_S = 30.0
"""What takes days elsewhere."""

parser = argparse.ArgumentParser(prog="python -m local.carrier")
parser.add_argument("--host", default=LOCALHOST)
parser.add_argument("--port", type=int, default=8090)
parser.add_argument("--file", type=Path, default=Path(".local/carrier.db"))
parser.add_argument("--callback-url")
parser.add_argument("--callback-secret", default="")
arguments = parser.parse_args()
callbacks = (
    Callbacks(arguments.callback_url, arguments.callback_secret, PACE_S)
    if arguments.callback_url
    else None
)
serve(create_app(arguments.file, callbacks), arguments.port, arguments.host)
