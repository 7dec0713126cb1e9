"""Runs the carrier until a signal says stop."""

import argparse
from pathlib import Path

from local.carrier.app import create_app
from local.web import serve

parser = argparse.ArgumentParser(prog="python -m local.carrier")
parser.add_argument("--port", type=int, default=8090)
parser.add_argument("--file", type=Path, default=Path(".local/carrier.db"))
arguments = parser.parse_args()
serve(create_app(arguments.file), arguments.port)
