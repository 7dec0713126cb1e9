"""Names, addresses and what was delivered stay text in every form of an order's page."""

import pytest

from api.live import JSON_PATH
from database.orders import mark_fulfillment
from domain.checkout import Address
from domain.orders import Deliverable, DeliverableType, FulfillmentState
from tests.harness.paid_orders import record_order
from tests.harness.world import World

HOSTILE = """</title><script>alert(1)</script>'"><img src=x onerror=alert(1)>"""
ADDRESS = Address(
    name=HOSTILE, line1=HOSTILE, city=HOSTILE, state=None, postal_code="1", country="US"
)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/after-checkout", {}),
        ("/after-checkout", {"embedded": "true"}),
        ("/after-checkout/part", {}),
    ],
)
async def test_nothing_from_outside_is_markup(
    world: World, path: str, query: dict[str, str]
) -> None:
    async with world.database.transaction() as connection:
        ref = await record_order(connection, "webhook", {}, address=ADDRESS, description=HOSTILE)
        each = [
            Deliverable(type=kind, value=HOSTILE, label=HOSTILE)
            for kind in (DeliverableType.KEY, DeliverableType.TEXT)
        ]
        each.append(
            Deliverable(
                type=DeliverableType.LINK,
                value=f"https://example.com/?{HOSTILE}".replace(" ", "+"),
                label=HOSTILE,
            )
        )
        await mark_fulfillment(connection, ref, FulfillmentState.FULFILLED, delivered=tuple(each))
    # Else the page waits for what is still to come.
    await world.execute(
        f"UPDATE orders SET state = 'fulfilled' WHERE session_id = '{ref.session_id}'"  # noqa: S608 - ours
    )
    answer = await world.api.get(path, params={"session_id": ref.session_id, **query})
    assert answer.status_code == 200
    assert answer.text.count("&lt;script&gt;alert(1)") >= 5
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert 'onerror=alert(1)>"' not in answer.text
    as_json = await world.api.get(JSON_PATH, params={"session_id": ref.session_id})
    assert as_json.headers["Content-Type"] == "application/json"
    assert as_json.headers["X-Content-Type-Options"] == "nosniff"
    assert HOSTILE in as_json.json()["lines"][0]["description"]
