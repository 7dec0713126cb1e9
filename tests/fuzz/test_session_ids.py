"""Whatever stands where a Checkout Session's ID should: no such order, and nothing begins."""

from urllib.parse import quote

import httpx
from hypothesis import strategies as st

from tests.fuzz.drawn import draw, drawn
from tests.harness.world import OPERATOR_TOKEN, World

ODD = (
    "{CHECKOUT_SESSION_ID}",
    "cs_test_",
    "cs_live_" + "a" * 58,
    "cs_test_" + "a" * 5_000,
    "cs_test_" + "a" * 58 + "\n",
    "cs_test_' OR 1=1 --",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "cs_test_a\0b",
    "\u202ecs_test_a",
)
PLACES = (
    "/after-checkout?session_id={}",
    "/after-checkout.json?session_id={}",
    "/after-checkout/part?session_id={}",
    "/after-checkout/events?session_id={}",
    "/try-again?session_id={}",
    "/orders/{}",
    "/orders/{}/timeline",
    "/orders/{}/emails",
    "/orders/{}/refunds",
)
WRITES = ("/orders/{}/refunds", "/orders/{}/emails/receipt/resend")
BEARER = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def test_no_such_order_is_all_that_is_said(world: World) -> None:
    begun = await _workflows(world)

    async def ask(session_id: str) -> None:
        written = quote(session_id, safe="", errors="replace")
        answers = [await world.api.get(place.format(written), headers=BEARER) for place in PLACES]
        for place in WRITES:
            body = {"by": "ops@example.com"}
            url = place.format(written)
            answers.append(await world.api.post(url, json=body, headers=BEARER))
        for answer in answers:
            _assert_unknown(answer, session_id)

    session_ids = st.one_of(st.sampled_from(ODD), st.text(min_size=1), _NEARLY)
    await draw(drawn(40, 3_000), ask, session_id=session_ids)
    assert await _workflows(world) == begun


_NEARLY = st.from_regex(r"cs_(test|live)_[A-Za-z0-9_\-.]{0,80}", fullmatch=True)


def _assert_unknown(answer: httpx.Response, session_id: str) -> None:
    # One that ends in a slash is asked for without it.
    assert answer.status_code in {307, 404, 405, 422}, (answer.status_code, str(answer.url))
    if len(session_id) > 10 and "<" in session_id:
        assert session_id not in answer.text


async def _workflows(world: World) -> int:
    query = f"TaskQueue = '{world.settings.temporal_task_queue}'"
    return (await world.client.count_workflows(query)).count
