"""Runs the inbox until a signal says stop."""

import argparse
from pathlib import Path

from local.mail_inbox.app import create_app
from local.web import serve

parser = argparse.ArgumentParser(prog="python -m local.mail_inbox")
parser.add_argument("--smtp-port", type=int, default=1025)
parser.add_argument("--port", type=int, default=8025)
parser.add_argument("--folder", type=Path, default=Path(".local/mail"))
arguments = parser.parse_args()
serve(create_app(arguments.folder, arguments.smtp_port), arguments.port)
