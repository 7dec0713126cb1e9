"""Everything that people ask of the service: customers' pages, the operator API, the commands."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.cli import build
from tests.harness.world import APP_TOKEN, OPERATOR_TOKEN, World

_OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
_APP = {"Authorization": f"Bearer {APP_TOKEN}"}


async def visit(world: World, session_id: str) -> None:
    """Asks for each page and each answer about one order, and about all."""
    of_order = f"/orders/{session_id}"
    for path in (
        f"/after-checkout?session_id={session_id}",
        f"/after-checkout.json?session_id={session_id}",
        f"/after-checkout/part?session_id={session_id}",
        of_order,
        *(f"{of_order}/{name}" for name in ("emails", "timeline", "evidence", "evidence.html")),
        *(f"{of_order}/{name}" for name in ("refunds", "reversals", "returns")),
        "/messages",
        "/messages?state=failed",
        f"/messages?state=pending&before=msg_{'f' * 32}",
        "/messages/msg_unknown",
        "/metrics",
        "/readyz",
    ):
        answer = await world.api.get(path, headers=_OPERATOR)
        assert answer.status_code in {200, 404}, (path, answer.text)
    for name, value in (
        ("customer", "cus_unknown"),
        ("email", "jo@example.com"),
        ("client_reference_id", "cart-6"),
    ):
        answer = await world.api.get("/entitlements", params={name: value}, headers=_APP)
        assert answer.status_code == 200, answer.text
    for verb in ("validate", "activate", "deactivate"):
        asked = {"key": "NO-SUCH-KEY", "instance": "machine"}
        await world.api.post(f"/licenses/{verb}", json=asked)


COMMANDS = (
    "status",
    "list",
    "list --needs-attention",
    "list --on-hold",
    "list --state action_required --state awaiting_payment",
    "list --account acct_1",
    "list --since 7d --until 1d",
    "find customer7@example.com",
    "find nobody-and-nothing",
    "stock show",
    "licenses show",
    "export orders --since 1d --out orders.csv",
    "export fulfillments --since 1d --out fulfillments.csv",
    "erase --email nobody@example.com --by ops --dry-run",
    "erase --customer cus_unknown --by ops --dry-run",
)
"""All that look at many orders."""


async def command(world: World, folder: Path) -> None:
    """Runs each of `COMMANDS`, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        # Where no `.env` is.
        patch.chdir(folder)
        patch.setenv("DATABASE_URL", world.settings.database_url.get_secret_value())
        for words in COMMANDS:
            ended = await asyncio.to_thread(CliRunner().invoke, build(), words.split())
            # 1: nothing is found.
            assert ended.exit_code in {0, 1}, (words, ended.output)
            assert isinstance(ended.exception, SystemExit | None), ended.exception
