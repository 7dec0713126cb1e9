"""The clock that tests move ahead: sessions expire, secrets end, retries come at once."""

import time
from pathlib import Path

import httpx
import pytest
import stripe

from stripe_emulator import EmulatorConfig, create_app
from stripe_emulator.deliveries import RETRY_DELAYS_S

from .conftest import API_KEY, SECRET, TIME_SCALE, Control, Inbox, Server, Shop, free_port

DAY_S = 24 * 3600


async def test_everything_is_dated_by_the_clock_and_signed_by_the_real_one(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    moved = await control.post("/clock", advance_s=3600)
    assert abs(moved["now"] - time.time() - 3600) < 5
    product = client.v1.products.create({"name": "x"})
    assert product.created >= moved["now"]
    [received] = await inbox.wait_for("product.created")
    assert received.event().created >= moved["now"]
    signed_at = int(received.headers["stripe-signature"].split(",")[0][2:])
    assert abs(signed_at - time.time()) < 5

    again = await control.post("/clock", advance_s=60)
    assert abs(again["now"] - time.time() - 3660) < 5
    await control.post("/reset")
    assert abs((await control.post("/clock"))["now"] - time.time()) < 5


async def test_a_session_expires_when_the_clock_passes_its_end(
    shop: Shop, client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    session = shop.session()
    await control.post("/clock", advance_s=DAY_S - 60)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    await control.post("/clock", advance_s=60)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    [told] = await inbox.wait_for("checkout.session.expired")
    assert told.event().created >= session.expires_at


async def test_a_delayed_payment_ends_when_the_clock_passes_its_time(
    shop: Shop, client: stripe.StripeClient, control: Control
) -> None:
    session = shop.session()
    debit = {"method": "bank_debit", "number": "000123456789"}
    await control.post("/clock", advance_s=DAY_S - 60)
    await control.post(f"/sessions/{session.id}/pay", **debit)
    await control.post("/clock", advance_s=DAY_S)
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.status, paid.payment_status) == ("complete", "paid")


async def test_the_next_attempt_of_a_delivery_comes_when_the_clock_passes_its_pause(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    attempts = 8
    assert sum(RETRY_DELAYS_S[:attempts]) / TIME_SCALE > 30, "longer than this test waits"
    inbox.statuses = [503] * attempts
    client.v1.products.create({"name": "x"})
    for made in range(1, attempts + 1):
        # Not when the inbox has it: the pause begins when its answer is back at the sender.
        await control.delivery_waits(attempts=made)
        await control.post("/clock", advance_s=RETRY_DELAYS_S[made - 1] / TIME_SCALE)
    await inbox.wait_for("product.created", count=attempts + 1)
    [delivery] = await control.settled_deliveries()
    assert delivery["state"] == "succeeded"


async def test_an_old_secret_ends_by_the_clock(
    client: stripe.StripeClient, control: Control, inbox: Inbox
) -> None:
    [endpoint] = client.v1.webhook_endpoints.list().data
    rolled = await control.post(f"/webhook_endpoints/{endpoint.id}/roll_secret", overlap_s=3600)
    await control.post("/clock", advance_s=3601)
    client.v1.products.create({"name": "x"})
    [received] = await inbox.wait_for_any()
    assert received.event(rolled["secret"]).type == "product.created"
    with pytest.raises(stripe.SignatureVerificationError):
        received.event(SECRET)


async def test_an_idempotency_key_is_free_again_after_a_day(
    client: stripe.StripeClient, control: Control
) -> None:
    def create() -> str:
        return client.v1.products.create({"name": "x"}, {"idempotency_key": "k"}).id

    first = create()
    assert create() == first
    await control.post("/clock", advance_s=DAY_S + 1)
    assert create() != first


@pytest.mark.parametrize("advance_s", [-1, "60", 10**12])
async def test_the_clock_goes_ahead_only(advance_s: object, control: Control) -> None:
    refused = await control.http.post("/_emulator/clock", json={"advance_s": advance_s})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "advance_s"


async def test_a_snapshot_keeps_the_time_and_each_emulator_its_own(
    tmp_path: Path, control: Control
) -> None:
    config = EmulatorConfig(api_key=API_KEY, snapshot=tmp_path / "state.json")
    with Server(create_app(config), free_port()) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            await Control(http).post("/clock", advance_s=500)
    with Server(create_app(config), free_port()) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            moved = await Control(http).post("/clock")
    assert abs(moved["now"] - time.time() - 500) < 5
    assert abs((await control.post("/clock"))["now"] - time.time()) < 5
