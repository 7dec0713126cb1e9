"""A mail whose worker dies is not waited for as long as a mail server may take for its answer."""

from datetime import timedelta

from temporalio.api.workflow.v1 import PendingActivityInfo

from domain.orders import OrderState
from tests.harness.shop import ACCESS
from tests.harness.world import World, eventually
from workflows import options


async def test_while_a_mail_is_handed_over_temporal_hears_that_its_worker_lives(
    world: World,
) -> None:
    async with world.worker():
        # The local try fails, and the regular one takes long enough to be heard of.
        slow = {"status": 451, "count": 1, "delay_ms": 2500}
        await world.inbox.post("/api/faults", json=slow)
        session_id = await world.shop.buy(ACCESS)
        await world.step_in(session_id, "retrying")

        async def heard() -> PendingActivityInfo | None:
            described = await world.workflow(session_id).describe()
            for pending in described.raw_description.pending_activities:
                if pending.HasField("last_heartbeat_time"):
                    return pending
            return None

        pending = await eventually(heard)
        assert pending.activity_type.name == "send_receipt"
        assert pending.attempt == 1
        silence = pending.activity_options.heartbeat_timeout.ToTimedelta()
        assert silence == options.MAIL.heartbeat
        assert silence < timedelta(minutes=5) < options.MAIL.timeout
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    assert len(await world.mails()) == 1
