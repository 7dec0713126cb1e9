"""Delivers events to every target that wants them, and again until they are accepted.

Stripe retries for up to three days in live mode, with growing pauses, and three times over a
few hours in test mode. The pauses here begin at a second, so that a developer who restarts
a server sees the next attempt; `time_scale` divides them. See "Automatic retries" under
"Receive Stripe events in your webhook endpoint" in Stripe's documentation.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from .clock import current_clock
from .errors import resource_missing
from .ids import new_id
from .signatures import signature_header
from .store import StripeObject
from .targets import Answer, Target

RETRY_DELAYS_S: Final = (
    1, 2, 5, 10, 30, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 86_400,
)  # fmt: skip
REDIRECT_WAIT_S: Final = 10.0
"""So long Checkout waits for endpoints before it sends the customer on."""
MAX_CONCURRENT: Final = 64
MAX_DELIVERIES: Final = 20_000
USER_AGENT: Final = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


class Mode(StrEnum):
    """What happens to new deliveries."""

    NORMAL = "normal"
    HOLD = "hold"
    DROP = "drop"


class State(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    HELD = "held"
    DROPPED = "dropped"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(slots=True)
class Attempt:
    """One request of a delivery and the answer; `at` is seconds since 1970 by the clock."""

    at: float
    duration_ms: int
    request_headers: dict[str, str]
    answer: Answer


@dataclass(slots=True)
class Delivery:
    """One event on its way to one target."""

    id: str
    event: StripeObject
    target: Target
    state: State = State.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    next_attempt_at: float | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def body(self) -> bytes:
        """The event as this target gets it."""
        return json.dumps(self.target.rendered(self.event)).encode()

    def summary(self) -> dict[str, Any]:
        """The delivery as the control API and the dashboard show it."""
        return {
            "id": self.id,
            "event": self.event["id"],
            "type": self.event["type"],
            "object": _about(self.event),
            "target": self.target.id,
            "url": self.target.url,
            "state": self.state.value,
            "next_attempt_at": self.next_attempt_at,
            "request_body": self.body().decode(),
            "attempts": [
                {
                    "at": attempt.at,
                    "duration_ms": attempt.duration_ms,
                    "request_headers": attempt.request_headers,
                    "response": asdict(attempt.answer),
                }
                for attempt in self.attempts
            ],
        }


def _about(event: StripeObject) -> str | None:
    """The ID of what the event is about; pings have thin events only."""
    if event["object"] == "event":
        object_id: str | None = event["data"]["object"].get("id")
    else:
        object_id = event["related_object"]["id"]
    return object_id


class Deliveries:
    """All deliveries and the switch that holds or drops them.

    Args:
        targets: Gives the targets that exist now.
        time_scale: Divides the pauses between attempts.
    """

    def __init__(self, targets: Callable[[], Iterable[Target]], time_scale: float) -> None:
        self._targets = targets
        self._time_scale = time_scale
        self._deliveries: dict[str, Delivery] = {}
        self._by_event: dict[str, list[Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self.mode = Mode.NORMAL

    def dispatch(self, event: StripeObject, only: Collection[str] | None = None) -> list[Delivery]:
        """Start delivering the event to every target that wants it.

        `only` names the targets to deliver to instead, whatever event types they asked for.
        """
        wanted = [
            target
            for target in self._targets()
            if (target.wants(event) if only is None else target.id in only)
        ]
        deliveries = [Delivery(new_id("dlv"), event, target) for target in wanted]
        for delivery in deliveries:
            self._keep(delivery)
            if self.mode is Mode.HOLD:
                delivery.state = State.HELD
            elif self.mode is Mode.DROP:
                delivery.state = State.DROPPED
            else:
                self._start(self._run(delivery))
        self._note(event)
        return deliveries

    def switch(self, mode: Mode, *, newest_first: bool = False) -> int:
        """Change what happens to new deliveries; leaving `hold` releases the held ones.

        Held deliveries go out one after the other, in the order of their events or, to
        rehearse disorder, the newest first. Answers how many were released.
        """
        self.mode = mode
        if mode is Mode.HOLD:
            return 0
        held = [one for one in self._deliveries.values() if one.state is State.HELD]
        for delivery in held:
            delivery.state = State.PENDING if mode is Mode.NORMAL else State.DROPPED
        if mode is Mode.NORMAL and held:
            self._start(self._run_in_order(held[::-1] if newest_first else held))
        return len(held)

    async def wait_for_answers(self, event_ids: Iterable[str]) -> None:
        """Wait until each target answered these events once, at most ten seconds in all."""
        awaited = [
            delivery.answered.wait()
            for event_id in event_ids
            for delivery in self._by_event.get(event_id, ())
            if delivery.state is State.PENDING
        ]
        if awaited:
            try:
                await asyncio.wait_for(asyncio.gather(*awaited), REDIRECT_WAIT_S)
            except TimeoutError:
                return

    def get(self, delivery_id: str) -> Delivery:
        """The delivery of this ID.

        Raises:
            StripeError: `resource_missing`.
        """
        found = self._deliveries.get(delivery_id)
        if found is None:
            raise resource_missing("delivery", delivery_id)
        return found

    def newest_first(self, limit: int) -> list[Delivery]:
        """The latest deliveries."""
        return list(islice(reversed(self._deliveries.values()), limit))

    def of_event(self, event_id: str) -> list[Delivery]:
        """Every delivery of an event, the oldest first."""
        return list(self._by_event.get(event_id, ()))

    def clear(self) -> None:
        """Forget all deliveries and stop those under way."""
        for task in self._tasks:
            task.cancel()
        self._deliveries.clear()
        self._by_event.clear()
        self.mode = Mode.NORMAL

    async def close(self) -> None:
        """Stop everything and wait until it has stopped."""
        tasks = list(self._tasks)
        self.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, delivery: Delivery) -> None:
        self._deliveries[delivery.id] = delivery
        self._by_event.setdefault(delivery.event["id"], []).append(delivery)
        if len(self._deliveries) > MAX_DELIVERIES:
            oldest = self._deliveries.pop(next(iter(self._deliveries)))
            self._by_event[oldest.event["id"]].remove(oldest)

    def _start(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_in_order(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._start(self._run(delivery))
            await delivery.answered.wait()

    async def _run(self, delivery: Delivery) -> None:
        for pause_s in (*RETRY_DELAYS_S, None):
            answer = await self._attempt(delivery)
            if answer.accepted:
                delivery.state = State.SUCCEEDED
            elif pause_s is None or not delivery.target.retries:
                delivery.state = State.FAILED
            self._note(delivery.event)
            delivery.answered.set()
            if delivery.state is not State.PENDING or pause_s is None:
                return
            clock = current_clock.get()
            delivery.next_attempt_at = clock.time() + pause_s / self._time_scale
            await clock.sleep_until(delivery.next_attempt_at)
            delivery.next_attempt_at = None

    async def _attempt(self, delivery: Delivery) -> Answer:
        async with self._slots:
            body = delivery.body()
            at = current_clock.get().time()
            # The signature's time is the real one, however far ahead the clock is: a receiver
            # holds it against its own clock, which nobody moved. Stripe's SDK would take one
            # from the future, but a stricter receiver may not.
            sent_at = time.time()
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": USER_AGENT,
                "Stripe-Signature": signature_header(body, delivery.target.secrets(), int(sent_at)),
            }
            answer = await delivery.target.send(delivery.event, headers, body)
        duration_ms = round((time.time() - sent_at) * 1000)
        delivery.attempts.append(Attempt(at, duration_ms, headers, answer))
        return answer

    def _note(self, event: StripeObject) -> None:
        """Write on the event how far its deliveries have come; nobody asks that of a ping."""
        if event["object"] != "event":
            return
        latest = {one.target.id: one.state for one in self._by_event.get(event["id"], ())}
        event["pending_webhooks"] = sum(s in {State.PENDING, State.HELD} for s in latest.values())
        event["_undelivered"] = any(state is not State.SUCCEEDED for state in latest.values())
