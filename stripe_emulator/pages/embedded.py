"""Checkout within a merchant's own page, for sessions in the mode `embedded_page`.

A page loads `/stripe.js` of this server in place of Stripe.js; what it mounts is the pay page in
a frame. See "Embedded form" under "Checkout" in Stripe's documentation.
"""

from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..emulator import Emulator
from .templates import page

EMBEDDED: Final = "embedded"
"""The pay page's URL parameter that tells that it is in a frame."""


class EmbeddedPages:
    """The script that merchants' pages load, and what it puts into the frame."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        script = resources.files(__package__.rpartition(".")[0]).joinpath("templates/stripe.js")
        self._script = script.read_text("utf-8")

    def routes(self) -> list[Route]:
        """The routes of embedded checkout."""
        return [
            Route("/stripe.js", self._serve_script),
            Route("/c/embed/{client_secret}", self._open),
        ]

    async def _serve_script(self, _request: Request) -> Response:
        return Response(self._script, media_type="text/javascript")

    async def _open(self, request: Request) -> Response:
        """The pay page of the session whose secret the merchant's page holds."""
        secret: str = request.path_params["client_secret"]
        session_id = secret.partition("_secret_")[0]
        for account in self._emulator.store.accounts():
            session = account.find(session_id) or {}
            if session.get("client_secret") == secret:
                return RedirectResponse(f"/c/pay/{session_id}?{EMBEDDED}=1", 303)
        text = "No session has this client secret."
        return page("message.html", 404, title="Something went wrong", text=text)
