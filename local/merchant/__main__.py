"""Runs the application until a signal says stop."""

import argparse

from local.merchant.app import create_app
from local.web import serve

parser = argparse.ArgumentParser(prog="python -m local.merchant")
parser.add_argument("--port", type=int, default=8091)
parser.add_argument("--secret", required=True)
arguments = parser.parse_args()
serve(create_app(arguments.secret), arguments.port)
