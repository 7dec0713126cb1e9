"""The sample shop at `/`: every button makes a session and goes to its pay page."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..addresses import base_url
from ..checkout.sessions import new_session
from ..emulator import Emulator
from ..errors import StripeError
from ..operations import Call
from ..purchases import DEFAULT_SUCCESS_URL, ships
from ..samples import SHIPPING_COUNTRIES, samples
from .templates import page


class ShopPages:
    """The shop."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def routes(self) -> list[Route]:
        """The shop's routes."""
        return [
            Route("/", self._shop),
            Route("/shop/buy", self._buy, methods=["POST"]),
        ]

    async def _shop(self, _request: Request) -> Response:
        return page("shop.html", products=samples(self._emulator))

    async def _buy(self, request: Request) -> Response:
        form = await request.form()
        price = str(form.get("price", ""))
        shown_at = base_url(self._emulator.config, request)
        line_items = [
            {"price": price, "quantity": 1, "adjustable_quantity": {"enabled": True, "minimum": 1}}
        ]
        account = self._emulator.store.platform
        params: dict[str, Any] = {
            "mode": "payment",
            "line_items": line_items,
            "success_url": self._emulator.config.success_url or DEFAULT_SUCCESS_URL,
            "cancel_url": self._emulator.config.cancel_url or f"{shown_at}/",
        }
        if ships(account, line_items):
            params["shipping_address_collection"] = {"allowed_countries": SHIPPING_COUNTRIES}
        try:
            session = new_session(Call(self._emulator, account, {}, {}, shown_at), params)
        except StripeError as error:
            return page("message.html", error.status, title="No such product", text=str(error))
        return RedirectResponse(session["url"], 303)
