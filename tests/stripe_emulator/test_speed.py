"""The emulator must not be what load tests measure. Bounds are wide: machines differ."""

import time

import httpx
import stripe

from .conftest import API_KEY, Control, Inbox, Shop

RETRIEVE_BOUND_S = 0.010
SESSIONS_PER_SECOND = 200


def test_a_session_with_100_line_items_is_retrieved_within_10_ms(shop: Shop, base_url: str) -> None:
    price = shop.price()
    session = shop.session(line_items=[{"price": price, "quantity": 1}] * 100)
    best = float("inf")
    headers = {
        "Authorization": f"Bearer {API_KEY}",
        "User-Agent": f"Stripe/v1 PythonBindings/{stripe.VERSION}",
    }
    with httpx.Client(base_url=base_url, headers=headers) as http:
        for _ in range(10):
            started = time.perf_counter()
            answer = http.get(
                f"/v1/checkout/sessions/{session.id}", params={"expand[]": "line_items"}
            )
            best = min(best, time.perf_counter() - started)
    assert len(answer.json()["line_items"]["data"]) == 10
    assert best < RETRIEVE_BOUND_S, f"{best * 1000:.1f} ms"


async def test_200_sessions_a_second_are_paid_in_bulk(
    shop: Shop, control: Control, inbox: Inbox
) -> None:
    assert inbox is not None
    items = [{"price": shop.price(), "quantity": 1}]
    started = time.perf_counter()
    made = await control.post("/purchases", count=400, line_items=items, deliver=False)
    rate = len(made["sessions"]) / (time.perf_counter() - started)
    assert rate > SESSIONS_PER_SECOND, f"{rate:.0f} sessions/s"
