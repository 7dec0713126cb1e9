"""The dashboard: what happened, and buttons for everything the control API can do."""

import json
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..checkout.completion import find_intent
from ..deliveries import Mode
from ..emulator import Emulator
from ..ids import now
from ..payments.disputes import charged_back
from ..resources.event_destinations import KIND
from ..resources.webhook_endpoints import active_secrets
from ..store import StripeObject
from .templates import page

SESSIONS_SHOWN: Final = 30
EVENTS_SHOWN: Final = 60


class DashboardPages:
    """The dashboard."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def routes(self) -> list[Route]:
        """The dashboard's routes."""
        return [
            Route("/dashboard", self._overview),
            Route("/dashboard/events/{id}", self._event),
        ]

    async def _overview(self, _request: Request) -> Response:
        accounts = self._emulator.store.accounts()
        sessions = [
            self._session(account.id, obj)
            for account in accounts
            for obj in islice(account.newest_first("checkout.session"), SESSIONS_SHOWN)
        ]
        events = [
            self._summary(event)
            for account in accounts
            for event in islice(account.newest_first("event"), EVENTS_SHOWN)
        ]
        platform = self._emulator.store.platform
        endpoints = [
            *platform.newest_first("webhook_endpoint"),
            *({**one, "url": one["_url"]} for one in platform.newest_first(KIND)),
        ]
        return page(
            "dashboard.html",
            endpoints=[{**endpoint, "secrets": active_secrets(endpoint)} for endpoint in endpoints],
            listeners=list(self._emulator.listeners.values()),
            sessions=sessions,
            events=events,
            clock=datetime.fromtimestamp(now(), UTC).strftime("%Y-%m-%d %H:%M:%S"),
            mode=self._emulator.deliveries.mode.value,
            modes=[mode.value for mode in Mode],
            faults=[fault.summary() for fault in self._emulator.faults.active],
        )

    async def _event(self, request: Request) -> Response:
        _, event = self._emulator.store.find("event", request.path_params["id"])
        deliveries = []
        for delivery in self._emulator.deliveries.of_event(event["id"]):
            summary = delivery.summary()
            for attempt in summary["attempts"]:
                attempt["clock"] = _clock(attempt["at"])
            deliveries.append(summary)
        return page(
            "event.html", event=event, body=json.dumps(event, indent=2), deliveries=deliveries
        )

    def _session(self, account_id: str, session: StripeObject) -> dict[str, Any]:
        """A row: the session and what can be done with it now."""
        account = self._emulator.store.account(account_id)
        intent = find_intent(account, session)
        intent_id = intent["id"] if intent is not None else ""
        charge = account.find((intent or {}).get("latest_charge") or "")
        paid = charge is not None and charge["paid"]
        return {
            **session,
            "clock": _clock(session["created"]),
            "delayed": intent is not None and intent["status"] == "processing",
            "failed": session["status"] == "complete"
            and intent is not None
            and intent["status"] == "requires_payment_method",
            "sold": session["_line_items"],
            "refundable": paid
            and charge is not None
            and not charge["refunded"]
            and not charged_back(account, charge),
            "warnable": paid,
            "disputable": paid
            and charge is not None
            and not charge["disputed"]
            and not charge["refunded"],
            "refunded": (charge or {}).get("amount_refunded", 0),
            "disputes": [
                dispute
                for dispute in account.newest_first("dispute")
                if dispute["payment_intent"] == intent_id
            ],
            "refunds": [
                refund
                for refund in account.newest_first("refund")
                if refund["payment_intent"] == intent_id
            ],
        }

    def _summary(self, event: StripeObject) -> dict[str, Any]:
        deliveries = self._emulator.deliveries.of_event(event["id"])
        return {
            "id": event["id"],
            "type": event["type"],
            "object": event["data"]["object"].get("id", ""),
            "clock": _clock(event["created"]),
            "states": [
                f"{delivery.state.value} ({len(delivery.attempts)})" for delivery in deliveries
            ],
        }


def _clock(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%H:%M:%S")
