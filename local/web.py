"""What the web pages of the local mail inbox and the local carrier have in common."""

from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.templating import Jinja2Templates

from local.ports import LOCALHOST

pages = Jinja2Templates(Path(__file__).parent / "templates")


def serve(app: FastAPI, port: int, host: str = LOCALHOST) -> None:
    """Serves the app until a signal says stop, to this machine only unless told otherwise."""
    uvicorn.run(app, host=host, port=port, log_level="warning")
