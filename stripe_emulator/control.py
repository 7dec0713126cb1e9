"""The control API under /_emulator: what tests and the dashboard do to this Stripe.

Bodies and answers are JSON. Nothing here needs an API key: the server listens on the local
machine only.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .addresses import base_url
from .checkout.completion import expire, fail, intent_of, settle
from .deliveries import Mode
from .emulator import Emulator
from .errors import StripeError, invalid
from .expand import render
from .faults import Fault
from .ids import new_id, now
from .payments.disputes import close_dispute, open_dispute
from .payments.fraud_warnings import warn_of_fraud
from .payments.refunds import end_refund, refund_charge
from .purchases import pay, purchase
from .resources import event_destinations
from .resources.webhook_endpoints import roll_secret
from .store import Account, StripeObject

MAX_PURCHASES: Final = 10_000
MAX_ADVANCE_S: Final = 10 * 365 * 24 * 3600
_BATCH: Final = 20
_DELIVERIES_SHOWN: Final = 200

JsonBody = dict[str, Any]
Handler = Callable[[Request, JsonBody], Awaitable[Any]]


class Control:
    """The handlers; each takes the request and its JSON body and gives the JSON answer."""

    def __init__(self, emulator: Emulator, restart: Callable[[], None]) -> None:
        self._emulator = emulator
        self._restart = restart

    def routes(self) -> list[Route]:
        """The routes of the control API."""
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/sessions/{id}/pay", self._pay),
            ("POST", "/sessions/{id}/settle", self._settle),
            ("POST", "/sessions/{id}/fail", self._fail),
            ("POST", "/sessions/{id}/expire", self._expire),
            ("POST", "/sessions/{id}/refund", self._refund),
            ("POST", "/sessions/{id}/dispute", self._dispute),
            ("POST", "/sessions/{id}/fraud_warning", self._fraud_warning),
            ("POST", "/refunds/{id}/end", self._end_refund),
            ("POST", "/disputes/{id}/close", self._close_dispute),
            ("POST", "/purchases", self._purchases),
            ("POST", "/events/{id}/resend", self._resend),
            ("POST", "/events/{id}/duplicate", self._duplicate),
            ("POST", "/webhook_endpoints/{id}/roll_secret", self._roll_secret),
            ("GET", "/deliveries", self._list_deliveries),
            ("POST", "/deliveries", self._switch_deliveries),
            ("GET", "/faults", self._list_faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("POST", "/clock", self._advance),
            ("POST", "/reset", self._reset),
        ]
        return [
            Route(f"/_emulator{path}", _endpoint(handler), methods=[method])
            for method, path, handler in table
        ]

    def _find(self, kind: str, request: Request) -> tuple[Account, StripeObject]:
        return self._emulator.store.find(kind, request.path_params["id"])

    async def _pay(self, request: Request, body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        event = pay(self._emulator, account, session, body)
        return {"session": render(account, session), "event": event["id"]}

    async def _settle(self, request: Request, _body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        settle(self._emulator, account, intent_of(account, session))
        return {"session": render(account, session)}

    async def _fail(self, request: Request, _body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        fail(self._emulator, account, intent_of(account, session))
        return {"session": render(account, session)}

    async def _expire(self, request: Request, _body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        expire(self._emulator, account, session)
        return {"session": render(account, session)}

    async def _refund(self, request: Request, body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        charge = account.get("charge", intent_of(account, session)["latest_charge"])
        refund = refund_charge(
            self._emulator,
            account,
            charge,
            amount_minor=_amount(body),
            metadata=_metadata(body),
            outcome=body.get("outcome"),
        )
        return {"refund": render(account, refund)}

    async def _end_refund(self, request: Request, body: JsonBody) -> JsonBody:
        account, refund = self._find("refund", request)
        end_refund(self._emulator, account, refund, succeeded=body.get("succeeded", True))
        return {"refund": render(account, refund)}

    async def _dispute(self, request: Request, body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        charge = account.get("charge", intent_of(account, session)["latest_charge"])
        dispute = open_dispute(
            self._emulator,
            account,
            charge,
            reason=body.get("reason", "fraudulent"),
            inquiry=body.get("inquiry", False),
            amount_minor=_amount(body),
        )
        return {"dispute": render(account, dispute)}

    async def _fraud_warning(self, request: Request, body: JsonBody) -> JsonBody:
        account, session = self._find("checkout.session", request)
        charge = account.get("charge", intent_of(account, session)["latest_charge"])
        fraud_type = body.get("fraud_type", "made_with_stolen_card")
        warning = warn_of_fraud(self._emulator, account, charge, fraud_type=fraud_type)
        return {"early_fraud_warning": render(account, warning)}

    async def _close_dispute(self, request: Request, body: JsonBody) -> JsonBody:
        account, dispute = self._find("dispute", request)
        close_dispute(self._emulator, account, dispute, won=body.get("won", True))
        return {"dispute": render(account, dispute)}

    async def _purchases(self, request: Request, body: JsonBody) -> JsonBody:
        count = body.get("count", 1)
        if not isinstance(count, int) or not 1 <= count <= MAX_PURCHASES:
            raise invalid(f"count must be between 1 and {MAX_PURCHASES}", "count")
        shown_at = base_url(self._emulator.config, request)
        deliver = body.get("deliver", True)
        sessions: list[str] = []
        for index in range(count):
            mode = self._emulator.deliveries.mode
            if not deliver:
                self._emulator.deliveries.mode = Mode.DROP
            try:
                session = purchase(self._emulator, shown_at, body.get("line_items", []), body)
            finally:
                self._emulator.deliveries.mode = mode
            sessions.append(session["id"])
            if index % _BATCH == 0:
                await asyncio.sleep(0)
        return {"sessions": sessions}

    async def _resend(self, request: Request, body: JsonBody) -> JsonBody:
        _, event = self._find("event", request)
        only = [body["target"]] if "target" in body else None
        sent = self._emulator.deliveries.dispatch(event, only)
        return {"event": event["id"], "deliveries": [delivery.id for delivery in sent]}

    async def _duplicate(self, request: Request, _body: JsonBody) -> JsonBody:
        """Deliver a second event, with its own ID, about the same change."""
        account, event = self._find("event", request)
        copy = account.add({**event, "id": new_id("evt"), "created": now()})
        sent = self._emulator.deliveries.dispatch(copy)
        return {"event": copy["id"], "deliveries": [delivery.id for delivery in sent]}

    async def _roll_secret(self, request: Request, body: JsonBody) -> JsonBody:
        platform = self._emulator.store.platform
        endpoint_id = request.path_params["id"]
        kind = event_destinations.KIND if endpoint_id.startswith("ed_") else "webhook_endpoint"
        endpoint = platform.get(kind, endpoint_id)
        return {"secret": roll_secret(endpoint, body.get("overlap_s", 0))}

    async def _list_deliveries(self, _request: Request, _body: JsonBody) -> JsonBody:
        shown = self._emulator.deliveries.newest_first(_DELIVERIES_SHOWN)
        return {
            "mode": self._emulator.deliveries.mode.value,
            "data": [delivery.summary() for delivery in shown],
        }

    async def _switch_deliveries(self, _request: Request, body: JsonBody) -> JsonBody:
        try:
            mode = Mode(body.get("mode", ""))
        except ValueError:
            raise invalid("Invalid mode: must be one of normal, hold, or drop", "mode") from None
        newest_first = body.get("order") == "newest_first"
        released = self._emulator.deliveries.switch(mode, newest_first=newest_first)
        return {"mode": mode.value, "released": released}

    async def _list_faults(self, _request: Request, _body: JsonBody) -> JsonBody:
        return {"data": [fault.summary() for fault in self._emulator.faults.active]}

    async def _add_fault(self, _request: Request, body: JsonBody) -> JsonBody:
        try:
            pattern = re.compile(body.get("path", ""))
        except re.error as error:
            raise invalid(f"path is not a regular expression: {error}", "path") from error
        headers = body.get("headers", {})
        if not isinstance(headers, dict) or not all(
            isinstance(part, str) and part.isascii() and part.isprintable()
            for pair in headers.items()
            for part in pair
        ):
            raise invalid("headers must be an object of strings", "headers")
        fault = Fault(
            path=pattern,
            method=body.get("method"),
            status=body.get("status"),
            delay_ms=body.get("delay_ms", 0),
            count=body.get("count"),
            headers=headers,
        )
        self._emulator.faults.active.append(fault)
        return fault.summary()

    async def _clear_faults(self, _request: Request, _body: JsonBody) -> JsonBody:
        cleared = len(self._emulator.faults.active)
        self._emulator.faults.active.clear()
        return {"cleared": cleared}

    async def _advance(self, _request: Request, body: JsonBody) -> JsonBody:
        seconds = body.get("advance_s", 0)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_ADVANCE_S:
            raise invalid(f"advance_s must be between 0 and {MAX_ADVANCE_S}", "advance_s")
        self._emulator.advance(seconds)
        return {"now": now()}

    async def _reset(self, _request: Request, _body: JsonBody) -> JsonBody:
        self._restart()
        return {"reset": True}


def _amount(body: JsonBody) -> int | None:
    amount = body.get("amount")
    if amount is not None and (not isinstance(amount, int) or isinstance(amount, bool)):
        raise invalid("Invalid integer: amount is in minor units", "amount")
    return amount


def _metadata(body: JsonBody) -> dict[str, str] | None:
    metadata = body.get("metadata")
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values())
    ):
        raise invalid("metadata must be an object of strings", "metadata")
    return metadata


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            raw = await request.body()
            body = json.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise invalid("The body must be a JSON object")
            return JSONResponse(await handler(request, body))
        except json.JSONDecodeError as error:
            return JSONResponse({"error": {"message": f"Invalid JSON: {error}"}}, 400)
        except StripeError as error:
            return JSONResponse({"error": error.error}, error.status)

    return endpoint
