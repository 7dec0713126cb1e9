"""`fulfillment list`, `find`, `show` and what operators do to orders."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from commands.cli import COMMANDS, build
from commands.terminal import TRY_AGAIN_LATER
from domain.orders import FulfillmentState, OrderState
from local.ports import free_port
from local.running import claimed
from tests.commands.programs import Ended, environment, run, run_command
from tests.harness.shop import ACCESS, MANUAL, shipment
from tests.harness.world import World, eventually

WHO = ("--by", "ops@example.com")
WHY = (*WHO, "--reason", "as agreed by phone")
UI = "http://127.0.0.1:8233"


class Desk:
    """The program, in a folder and with the settings of a world."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.environment = {**environment(world.settings), "TEMPORAL_UI_URL": UI}

    async def ask(self, *arguments: str, **changed: str) -> Ended:
        return await run_command(self.folder, {**self.environment, **changed}, *arguments)

    async def done(self, *arguments: str, **changed: str) -> str:
        ended = await self.ask(*arguments, **changed)
        assert ended.code == 0, ended.err
        return ended.out

    async def read(self, *arguments: str, **changed: str) -> Any:
        return json.loads(await self.done(*arguments, "--json", **changed))

    async def listed(self, *arguments: str) -> list[str]:
        return [order["session_id"] for order in await self.read("list", *arguments)]

    async def found(self, text: str) -> list[str]:
        return [order["session_id"] for order in await self.read("find", text)]

    async def acts(self, session_id: str) -> dict[str, tuple[str, str]]:
        shown = await self.read("show", session_id)
        return {entry["event"]: (entry["by"], entry["detail"]) for entry in shown["timeline"]}


@pytest.fixture
async def desk(world: World, tmp_path: Path) -> AsyncIterator[Desk]:
    async with world.worker():
        yield Desk(world, tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does(name: str) -> None:
    told = CliRunner().invoke(build(), [name, "--help"])
    assert told.exit_code == 0, told.output
    assert f"Usage: fulfillment {name}" in told.output


def test_all_commands_are_listed() -> None:
    told = CliRunner().invoke(build(), ["--help"]).output
    assert [name for name in COMMANDS if f"  {name} " not in told] == []


async def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    async def completed(words: str) -> list[str]:
        asked = {
            "_FULFILLMENT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        return (await run_command(tmp_path, asked)).out.split()

    assert await completed("fulfillment ref") == ["refund"]
    assert {"retry", "release", "restore"} < set(await completed("fulfillment re"))
    assert await completed("fulfillment skip --re") == ["--reason"]


async def test_orders_are_listed_by_how_they_stand(desk: Desk) -> None:
    world = desk.world
    stuck, by_hand, done = [await world.shop.buy(each) for each in ({}, MANUAL, ACCESS)]
    held = await world.buy_delayed(ACCESS)
    await world.step_in(stuck, "action_required")
    await world.step_in(by_hand, "awaiting_operator")
    await world.result(done)
    await desk.done("hold", held, *WHY)
    everything = await desk.read("list")
    assert {order["session_id"] for order in everything} >= {stuck, by_hand, done, held}
    assert sorted(everything, key=lambda each: each["created_at"], reverse=True) == everything
    of = {order["session_id"]: order for order in everything}
    assert of[stuck]["problem"].startswith("product_unknown: ")
    assert [of[each]["needs_attention"] for each in (stuck, by_hand, done, held)] == [
        *(True, True, False, False)
    ]
    assert set(await desk.listed("--needs-attention")) == {stuck, by_hand}
    assert await desk.listed("--state", "fulfilled", "--since", "1h") == [done]
    assert await desk.listed("--on-hold") == [held]
    assert len(await desk.listed("--limit", "2")) == 2
    table = await desk.done("list", "--state", "action_required")
    assert stuck in table
    assert table.endswith("1 order\n")
    status = await desk.read("status")
    assert (status["need_attention"], status["on_hold"]) == (2, 1)
    assert status["figures"]["orders"]["fulfilled"] == 1
    assert "Need an operator             2\n" in await desk.done("status")


async def test_an_order_is_found_by_all_that_customers_know_of_it(desk: Desk) -> None:
    world = desk.world
    number, email = f"cart-{uuid4().hex}", f"{uuid4().hex}@Example.com"
    key = {"fulfillment": "license_key", "license_key_format": "XXXXX-XXXXX-XXXXX-XXXXX"}
    prices = [
        await world.shop.price(each) for each in (key, shipment(await world.new_sku(on_hand=1)))
    ]
    session_id = await world.shop.checkout(*prices, client_reference_id=number)
    await world.shop.pay(session_id, email=email)
    other = await world.shop.buy(ACCESS)
    await asyncio.gather(world.result(session_id), world.result(other))
    order = await world.order(session_id)
    [parcel] = await world.parcels(session_id)
    delivered = {item.kind: item for line in order.lines for item in line.fulfillments}
    refund = json.loads(await desk.done("refund", session_id, *WHY, "--yes", "--json"))
    names = [
        session_id,
        email.lower(),
        number,
        str(order.payment_intent_id),
        parcel["tracking_number"],
        delivered["license_key"].delivered[0].value.lower(),
        refund["id"],
    ]
    assert [await desk.found(name) for name in names] == [[session_id]] * len(names)
    nobody = await desk.ask("find", "nobody@example.com")
    assert (nobody.code, nobody.out, nobody.err) == (1, "", "no order is named so\n")


async def test_an_order_is_shown_with_its_steps_and_where_it_is_elsewhere(desk: Desk) -> None:
    session_id = await desk.world.shop.buy(MANUAL, ACCESS)
    stuck = await desk.world.step_in(session_id, "awaiting_operator")
    shown = await desk.read("show", session_id)
    assert shown["order"]["customer_email"] == "jo@example.com"
    assert {each["state"] for each in shown["steps"] if each["step"] == stuck.step} == {
        "awaiting_operator"
    }
    assert {"checkout_opened", "order_recorded"} <= {each["event"] for each in shown["timeline"]}
    assert shown["links"]["Workflow"] == f"{UI}/namespaces/default/workflows/{session_id}"
    for name in ("Stripe", "Customer's page"):
        assert (await desk.world.api.get(shown["links"][name])).status_code == 200, name
    text = await desk.done("show", session_id)
    assert all(each in text for each in (session_id, stuck.step, "jo@example.com", UI))
    unknown = await desk.ask("show", "cs_test_nobodyhasboughtthis")
    assert (unknown.code, unknown.err) == (1, "order_unknown: no order for this Checkout Session\n")


async def test_a_step_is_tried_again_by_what_the_product_says_now(desk: Desk) -> None:
    world = desk.world
    session_id = await world.shop.buy({})
    await world.step_in(session_id, "action_required")
    product_id = (await world.order(session_id)).lines[0].product_id
    assert product_id is not None
    await world.shop.stripe.v1.products.update_async(product_id, {"metadata": ACCESS})
    assert "is tried again" in await desk.done("retry", session_id, *WHO)
    assert (await world.result(session_id)).state is OrderState.FULFILLED


async def test_what_cannot_be_undone_is_confirmed_and_needs_a_reason(desk: Desk) -> None:
    world = desk.world
    session_id = await world.shop.buy(MANUAL, MANUAL)
    await world.step_in(session_id, "awaiting_operator")
    steps = [
        name for name, view in (await world.steps(session_id)).items()
        if view.state == "awaiting_operator"
    ]  # fmt: skip

    async def both() -> bool | None:
        waiting = (await world.steps(session_id)).values()
        return [view.state for view in waiting].count("awaiting_operator") == 2 or None

    await eventually(both)
    unreasoned = await desk.ask("skip", session_id, *WHO, "--yes")
    assert (unreasoned.code, "Missing option '--reason'" in unreasoned.err) == (2, True)
    for asked in (("skip", steps[0]), ("fulfill", steps[0]), ("refund",)):
        command, *step = asked
        unasked = await desk.ask(command, session_id, *step, *WHY)
        assert (unasked.code, "say --yes" in unasked.err) == (2, True), command
    unnamed = await desk.ask("skip", session_id, *WHY, "--yes")
    assert (unnamed.code, "several steps wait, name one" in unnamed.err) == (1, True)
    assert [view.state for view in (await world.steps(session_id)).values()].count(
        "awaiting_operator"
    ) == 2
    await desk.done("skip", session_id, steps[0], *WHY, "--yes")
    await desk.done("fulfill", session_id, *WHY, "--yes")
    await world.result(session_id)
    order = await world.order(session_id)
    states = [item.state for line in order.lines for item in line.fulfillments]
    notes = [item.note or "" for line in order.lines for item in line.fulfillments]
    assert set(states) == {FulfillmentState.SKIPPED, FulfillmentState.FULFILLED}
    assert all("by ops@example.com: as agreed by phone" in note for note in notes)
    ended = await desk.ask("retry", session_id, *WHO)
    assert (ended.code, ended.err) == (1, f"no_workflow: no workflow {session_id} runs\n")
    stranger = await desk.ask("retry", session_id, steps[0], *WHO)
    assert (stranger.code, "no_workflow: " in stranger.err) == (1, True)
    refused = await desk.ask("hold", session_id, *WHY)
    assert (refused.code, "nothing is to be delivered" in refused.err) == (1, True)


async def test_a_held_order_is_redirected_and_released(desk: Desk) -> None:
    world = desk.world
    session_id = await world.buy_delayed(shipment(await world.new_sku()))
    await desk.done("hold", session_id, *WHY)
    await world.shop.settle(session_id)
    parked = await world.step_in(session_id, "action_required")
    assert "an operator holds this order" in str(parked.error)
    address = ("--name", "Ada", "--line1", "New Street 1", "--city", "Bern", "--country", "ch")
    await desk.done("redirect", session_id, *address, *WHO)
    await desk.done("release", session_id, *WHO)
    await world.result(session_id)
    [parcel] = await world.parcels(session_id)
    assert (parcel["to"]["line1"], parcel["to"]["country"]) == ("New Street 1", "CH")
    acts = await desk.acts(session_id)
    assert acts["order_held"] == ("ops@example.com", "as agreed by phone")
    assert acts["order_released"][0] == acts["address_changed"][0] == "ops@example.com"


async def test_a_closed_order_is_mailed_again_and_refunded_in_part(desk: Desk) -> None:
    world = desk.world
    session_id = await world.shop.buy(ACCESS, quantity=3)
    await world.result(session_id)
    wrong = await desk.ask("resend", session_id, "--to", "no address", *WHO)
    assert (wrong.code, "'--to'" in wrong.err) == (2, True)
    await desk.done("resend", session_id, "--to", "right@example.com", *WHO)

    async def mailed() -> bool | None:
        newest, *older = await world.mails()
        return True if older and newest["recipients"] == ["right@example.com"] else None

    await eventually(mailed)
    line_id = (await world.order(session_id)).lines[0].id
    nonsense = await desk.ask("refund", session_id, "--line", line_id, *WHY, "--yes")
    assert (nonsense.code, "how many pieces: li_…=1" in nonsense.err) == (2, True)
    await desk.done("refund", session_id, "--line", f"{line_id}=2", *WHY, "--yes")

    async def refunded() -> bool | None:
        return (await world.shop.charge(session_id)).amount_refunded == 2 * 1999 or None

    await eventually(refunded)
    much = await desk.ask("refund", session_id, "--line", f"{line_id}=2", *WHY, "--yes")
    assert (much.code, much.err.startswith("nothing_left: ")) == (1, True)
    assert (await desk.acts(session_id))["refund_requested"][0] == "ops@example.com"


async def test_a_refund_is_asked_for_though_temporal_is_away(desk: Desk) -> None:
    world = desk.world
    session_id = await world.shop.buy(ACCESS)
    await world.result(session_id)
    nowhere = f"127.0.0.1:{free_port()}"
    asked = ("refund", session_id, "--amount-minor", "500", *WHY, "--yes")
    # Not 75: who tried again would pay twice.
    assert "is asked for" in await desk.done(*asked, TEMPORAL_ADDRESS=nowhere)
    await world.execute("UPDATE refund_requests SET updated_at = now() - interval '1 hour'")
    await world.sweep()

    async def refunded() -> bool | None:
        return (await world.shop.charge(session_id)).amount_refunded == 500 or None

    await eventually(refunded)


async def test_what_is_away_is_told_apart_from_what_cannot_be(world: World, tmp_path: Path) -> None:
    desk = Desk(world, tmp_path)
    async with world.worker():
        session_id = await world.shop.buy(MANUAL)
        stuck = await world.step_in(session_id, "awaiting_operator")
    nowhere = f"127.0.0.1:{free_port()}"
    no_worker = await desk.ask("retry", session_id, stuck.step, *WHO)
    no_temporal = await desk.ask("retry", session_id, stuck.step, *WHO, TEMPORAL_ADDRESS=nowhere)
    no_database = await desk.ask("list", DATABASE_URL=f"postgresql://x:y@{nowhere}/z")
    shown = await desk.read("show", session_id, TEMPORAL_ADDRESS=nowhere)
    assert (no_worker.code, no_worker.err) == (
        TRY_AGAIN_LATER,
        "no_answer: no answer in time: does a worker run, and Temporal?\n",
    )
    assert (no_temporal.code, "temporal_unavailable" in no_temporal.err) == (TRY_AGAIN_LATER, True)
    assert (no_database.code, "database_unavailable" in no_database.err) == (TRY_AGAIN_LATER, True)
    assert shown["steps"] is None
    assert shown["summary"]["needs_attention"]


async def test_it_works_on_the_stack_that_runs_here(world: World, tmp_path: Path) -> None:
    with claimed(tmp_path / "data") as claim:
        claim.publish(urls={}, environment=environment(world.settings))
        here = {"DATA_DIR": str(tmp_path / "data")}
        status = await run(tmp_path, here, "-m", "local.command", "status", "--json")
    assert status.code == 0, status.err
    assert "figures" in json.loads(status.out)
    stopped = await run(tmp_path, here, "-m", "local.command", "status")
    assert (stopped.code, "DATABASE_URL: missing" in stopped.err) == (1, True)


@pytest.mark.parametrize("name", ["api", "worker"])
async def test_a_server_refuses_to_start_without_settings(tmp_path: Path, name: str) -> None:
    refused = await run_command(tmp_path, {}, name)
    assert (refused.code, "DATABASE_URL: missing" in refused.err) == (1, True)
