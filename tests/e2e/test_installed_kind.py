"""A kind of an installed package is sold and delivered like ours; a bad one is refused."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.orders import OrderState
from tests.commands.programs import ROOT, environment, run
from tests.harness.example_kind import GIFT_CARD, install_example_kind
from tests.harness.world import World


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the installed package."""
    folder = tmp_path / "site"
    install_example_kind(folder)
    return folder


def with_packages(variables: Mapping[str, str], *folders: Path) -> dict[str, str]:
    return {**variables, "PYTHONPATH": ":".join(str(folder) for folder in (*folders, ROOT))}


@asynccontextmanager
async def worker_program(folder: Path, variables: Mapping[str, str]) -> AsyncIterator[None]:
    """Runs `python worker.py` for as long as the block."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, ROOT / "worker.py", env=dict(variables), cwd=folder
    )
    try:
        yield
    finally:
        worker.terminate()
        await worker.wait()


async def test_it_is_bought_delivered_shown_and_mailed(
    world: World, installed: Path, tmp_path: Path
) -> None:
    variables = with_packages(environment(world.settings), installed)
    async with worker_program(tmp_path, variables):
        session_id = await world.shop.buy(GIFT_CARD, quantity=2)
        result = await world.result(session_id)
    assert result.state is OrderState.FULFILLED
    [line] = (await world.order(session_id)).lines
    [fulfillment] = line.fulfillments
    codes = [each.value for each in fulfillment.delivered]
    assert len(set(codes)) == 2
    assert all(re.fullmatch(r"XMAS-[0-9A-F]{16}", code) for code in codes)
    page = (await world.api.get("/after-checkout", params={"session_id": session_id})).text
    [mail] = await world.mails()
    for code in codes:
        assert code in page
        assert code in mail["text"]


async def test_its_parameters_are_checked_in_the_catalog(
    world: World, installed: Path, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[products.prod_1]\nfulfillment = "gift_card"\ngift_card_prefix = "x"\n')
    variables = {**environment(world.settings), "CATALOG_FILE": str(catalog)}
    worker = str(ROOT / "worker.py")
    ended = await run(tmp_path, with_packages(variables, installed), worker)
    assert ended.code == 1
    assert "prod_1: gift_card_prefix: " in ended.err


async def test_its_module_can_be_imported_on_its_own(installed: Path, tmp_path: Path) -> None:
    code = "from gift_card import GIFT_CARD; print(GIFT_CARD.name)"
    ended = await run(tmp_path, with_packages({}, installed), "-c", code)
    assert (ended.code, ended.out) == (0, "gift_card\n")


async def test_a_bad_one_is_refused_at_the_start(installed: Path, tmp_path: Path) -> None:
    (installed / "gift_card" / "__init__.py").write_text("GIFT_CARD = None")
    ended = await run(tmp_path, with_packages({}, installed), str(ROOT / "worker.py"))
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "workflows.fulfillment.registry.KindError: gift_card:GIFT_CARD of example-gift-card is no "
        "FulfillmentKind but a NoneType"
    )
