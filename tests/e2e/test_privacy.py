"""No history in Temporal holds personal data, whatever went wrong on the way."""

from tests.harness.shop import ACCESS, CUSTOMER_ADDRESS, shipment
from tests.harness.world import World, eventually

# A postal code that the local carrier refuses.
ADDRESS = {**CUSTOMER_ADDRESS, "postal_code": "00000"}
PERSONAL = ("jo@example.com", "Jo Doe", "1 Main Street", "Springfield", "00000")


async def test_histories_hold_no_personal_data(world: World) -> None:
    sku = await world.new_sku()
    await world.inbox.post("/api/faults", json={"status": 550, "count": 2})
    async with world.worker():
        session_id = await world.shop.checkout(
            await world.shop.price(ACCESS), await world.shop.price(shipment(sku))
        )
        await world.shop.pay(session_id, address=ADDRESS)

        async def mails_refused() -> list[str] | None:
            steps = (await world.steps(session_id)).values()
            stuck = [step.step for step in steps if step.state == "action_required"]
            return stuck if len(stuck) == 2 else None

        # The question where else the parcel may go, and the receipt.
        for step in await eventually(mails_refused):
            await world.decide(session_id, "retry", step)
        asked = await world.step_in(session_id, "waiting")
        await world.decide(session_id, "skip", asked.step, "as agreed")
        await world.result(session_id)
    history = await world.workflow(session_id).fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    assert b"address_refused" in stored
    assert b"mail_refused" in stored
    assert [text for text in PERSONAL if text.encode() in stored] == []


async def test_a_database_error_tells_its_code_only(world: World) -> None:
    async with world.worker():
        await world.execute("ALTER TABLE orders ADD CONSTRAINT no_jo CHECK (locale <> 'nl')")
        try:
            session_id = await world.shop.checkout(await world.shop.price(ACCESS), locale="nl")
            await world.shop.pay(session_id)
            stuck = await world.step_in(session_id, "action_required")
        finally:
            await world.execute("ALTER TABLE orders DROP CONSTRAINT no_jo")
        assert stuck.error == "database_refused: the database refused: SQLSTATE 23514"
        await world.decide(session_id, "retry", "payment")
        await world.result(session_id)
    history = await world.workflow(session_id).fetch_history()
    stored = b"".join(event.SerializeToString() for event in history.events)
    assert b"23514" in stored
    assert [text for text in PERSONAL if text.encode() in stored] == []
