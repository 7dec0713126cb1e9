"""`fulfillment backfill`, run as a program."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands.dates import parse_since
from domain.checkout import ForeignSessions
from domain.orders import OrderState
from tests.commands.programs import environment, run_command
from tests.harness.shop import ACCESS
from tests.harness.world import World, eventually

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "7", "2026-13-01", "2027-01-01", "999999d"])
def test_a_since_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own reason
        parse_since(text, NOW)


async def test_it_shows_and_then_fulfills_what_was_sold(world: World, tmp_path: Path) -> None:
    await world.shop.deliveries("drop")
    missed = await world.shop.buy(ACCESS)
    variables = environment(world.settings)
    command = ("backfill", "--since", "1d")

    shown = await run_command(tmp_path, variables, *command, "--dry-run")
    assert shown.code == 0, shown.err
    assert missed in shown.out
    assert "1 to start" in shown.out
    assert "$19.99" in shown.out
    assert await world.order_or_none(missed) is None

    async with world.worker():
        done = await run_command(tmp_path, variables, *command)
        assert done.code == 0, done.err
        assert "1 handed to Temporal, 0 failed" in done.out
        assert (await world.result(missed)).state is OrderState.FULFILLED
        again = await run_command(tmp_path, variables, *command)
    assert missed not in again.out
    assert "1 completed sessions" in again.out
    assert "1 need nothing" in again.out
    assert len(await world.mails()) == 1


async def test_what_was_ignored_is_taken_on_when_asked(world: World, tmp_path: Path) -> None:
    product = await world.shop.stripe.v1.products.create_async({"name": "Not ours yet"})
    price = await world.shop.stripe.v1.prices.create_async(
        {"product": product.id, "unit_amount": 500, "currency": "usd"}
    )
    ignoring = world.with_settings(foreign_sessions=ForeignSessions.IGNORE)
    async with ignoring.worker():
        session_id = await world.shop.checkout(price.id)
        await world.shop.pay(session_id)
        assert (await world.result(session_id)).state is OrderState.IGNORED
        assert await world.mails() == []

        await world.shop.stripe.v1.products.update_async(product.id, {"metadata": ACCESS})
        command = ("backfill", "--since", "1d")
        variables = environment(world.settings)
        assert session_id not in (await run_command(tmp_path, variables, *command)).out
        done = await run_command(tmp_path, variables, *command, "--ignored")
        assert "open again" in done.out

        async def fulfilled() -> bool | None:
            return (await world.order(session_id)).state is OrderState.FULFILLED or None

        await eventually(fulfilled)
    assert len(await world.mails()) == 1


async def test_a_wrong_key_is_one_line(world: World, tmp_path: Path) -> None:
    variables = {**environment(world.settings), "STRIPE_API_KEY": "sk_test_SomebodyElses0000"}
    ended = await run_command(tmp_path, variables, "backfill", "--since", "1d")
    assert ended.code == 1
    assert ended.err.strip().startswith("stripe_unauthorized: stripe answered 401")


async def test_a_wrong_date_is_told(world: World, tmp_path: Path) -> None:
    variables = environment(world.settings)
    ended = await run_command(tmp_path, variables, "backfill", "--since", "soon")
    assert ended.code == 2
    assert "'--since': soon" in ended.err
