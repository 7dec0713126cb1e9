"""What software hears of a license key, and what operators do about one."""

import asyncio

import httpx

from tests.harness.world import OPERATOR_TOKEN, World

EDITOR = {
    "fulfillment": "license_key",
    "license_key_format": "EDIT-XXXXX-XXXXX-XXXXX",
    "license_key_activation_limit": "2",
}
OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def _bought(world: World, **parameters: str) -> str:
    async with world.worker():
        session_id = await world.shop.buy({**EDITOR, **parameters})
        await world.result(session_id)
    [[key]] = [item.delivered for item in (await world.order(session_id)).lines[0].fulfillments]
    return key.value


async def _ask(world: World, verb: str, key: str, instance: str | None = None) -> httpx.Response:
    body = {"key": key} if instance is None else {"key": key, "instance": instance}
    return await world.api.post(f"/licenses/{verb}", json=body)


async def test_a_key_is_active_on_as_many_instances_as_it_may_be(world: World) -> None:
    key = await _bought(world)
    assert (await _ask(world, "validate", key)).json() == {
        "valid": True,
        "problem": None,
        "active": False,
        "activations": 0,
        "activation_limit": 2,
        "expires_at": None,
    }
    for instance in ("desk", "laptop", "laptop"):
        answer = await _ask(world, "activate", key, instance)
        assert answer.status_code == 200
        assert answer.json()["active"]
    third = await _ask(world, "activate", key, "phone")
    assert third.status_code == 409
    assert (third.json()["problem"], third.json()["activations"]) == ("limit_reached", 2)
    assert not (await _ask(world, "validate", key, "phone")).json()["active"]

    freed = (await _ask(world, "deactivate", key, "desk")).json()
    assert (freed["active"], freed["activations"]) == (False, 1)
    assert (await _ask(world, "activate", key, "phone")).json()["activations"] == 2


async def test_the_limit_holds_when_all_activate_at_once(world: World) -> None:
    key = await _bought(world)
    answers = await asyncio.gather(
        *(_ask(world, "activate", key, f"machine-{number}") for number in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [409] * 18


async def test_a_key_may_be_typed_in_any_case_and_without_hyphens(world: World) -> None:
    key = await _bought(world)
    typed = f" {key.lower().replace('-', ' ')} "
    assert (await _ask(world, "validate", typed)).json()["valid"]


async def test_unknown_keys_and_nonsense_are_refused(world: World) -> None:
    assert (await _ask(world, "validate", "EDIT-00000-00000-00000")).status_code == 404
    assert (await _ask(world, "activate", "—", "desk")).status_code == 404
    assert (await _ask(world, "activate", "EDIT", "des\0k")).status_code == 422
    assert (await _ask(world, "validate", "")).status_code == 422


async def test_an_operator_disables_a_key_for_good(world: World) -> None:
    key = await _bought(world)
    request = {"key": key, "by": "ops@example.com", "note": "shared in a forum"}
    assert (await world.api.post("/licenses/disable", json=request)).status_code == 401
    for _ in range(2):
        answer = await world.api.post("/licenses/disable", json=request, headers=OPERATOR)
        assert (answer.status_code, answer.json()["problem"]) == (200, "disabled")
    refused = await _ask(world, "activate", key, "desk")
    assert (refused.status_code, refused.json()["problem"]) == (409, "disabled")
    unknown = {**request, "key": "EDIT-00000"}
    answer = await world.api.post("/licenses/disable", json=unknown, headers=OPERATOR)
    assert answer.status_code == 404


async def test_an_expired_key_says_so(world: World) -> None:
    key = await _bought(world, license_key_duration="P1M")
    assert (await _ask(world, "validate", key)).json()["expires_at"] is not None
    await world.execute("UPDATE license_keys SET expires_at = now() - interval '1 minute'")
    expired = await _ask(world, "activate", key, "desk")
    assert (expired.status_code, expired.json()["problem"]) == (409, "expired")
