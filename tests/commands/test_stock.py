"""`fulfillment stock`, run as a program, and the files that it reads."""

from pathlib import Path
from uuid import uuid4

import pytest

from commands.stock_file import StockFileError, format_stock_file, parse_stock_file
from database.stock import StockLevel
from tests.commands.programs import environment, run_command
from tests.harness.world import World

COMMAND = ("stock",)
CATALOG = "[warehouses.berlin]\n[warehouses.paris]\n"


def test_a_file_may_leave_out_what_there_is_one_of() -> None:
    file = parse_stock_file("sku,on_hand\nMUG, 7 \n", ["main"])
    assert file.counts == {("MUG", "main"): 7}
    assert file.low_at == {}


def test_an_empty_threshold_means_never() -> None:
    text = "sku,warehouse,on_hand,low_at\nMUG,berlin,7,\nCUP,paris,1,3\n"
    assert parse_stock_file(text, ["berlin", "paris"]).low_at == {"MUG": None, "CUP": 3}


def test_every_problem_is_told_with_its_line() -> None:
    text = (
        "sku,warehouse,on_hand,low_at\n"
        "MUG,berlin,7,1\n"
        "MUG,berlin,8,1\n"
        "CUP,rome,1,1\n"
        "CUP,paris,-1,1\n"
        ",paris,1,1\n"
        "MUG,paris,1,2\n"
        "CUP,paris\n"
        "CUP,paris,1,1,1\n"
        "CUP,,1,1\n"
        '"CUP\nSAUCER",paris,1,1\n'
        "CUP,paris,99999999999,1\n"
    )
    with pytest.raises(StockFileError) as refused:
        parse_stock_file(text, ["berlin", "paris"])
    assert refused.value.problems == (
        "line 3: MUG in berlin was counted on an earlier line",
        "line 4: there is no warehouse rome; there are: berlin, paris",
        "line 5: on_hand must be a whole number of pieces, 0 or more, not '-1'",
        "line 6: a SKU has 1 to 100 characters",
        "line 7: MUG has another low_at on an earlier line",
        "line 8: it has not as many fields as the first line",
        "line 9: it has not as many fields as the first line",
        "line 10: a warehouse must be named; there are: berlin, paris",
        "line 12: a SKU has 1 to 100 characters",
        "line 13: on_hand must be a whole number of pieces, 0 or more, not '99999999999'",
    )


@pytest.mark.parametrize("text", ["", "sku;on_hand\nMUG;7\n", "sku,on_hand,colour\n"])
def test_other_columns_are_refused(text: str) -> None:
    with pytest.raises(StockFileError, match="line 1: the columns are sku,warehouse"):
        parse_stock_file(text, ["main"])


def test_what_is_no_csv_is_refused_with_its_line() -> None:
    with pytest.raises(StockFileError, match="line 3: "):
        parse_stock_file('sku,on_hand\nMUG,7\n"CUP"x,1\n', ["main"])


def test_an_export_says_what_an_import_reads() -> None:
    levels = [
        StockLevel(sku='MUG, "blue"', warehouse="main", on_hand=3, low_at=None, is_low=False),
        StockLevel(sku="CUP", warehouse="main", on_hand=0, low_at=2, is_low=True),
    ]
    file = parse_stock_file(format_stock_file(levels), ["main"])
    assert file.counts == {('MUG, "blue"', "main"): 3, ("CUP", "main"): 0}
    assert file.low_at == {'MUG, "blue"': None, "CUP": 2}


async def test_stock_is_imported_exported_and_shown(world: World, tmp_path: Path) -> None:
    sku = f"SKU-{uuid4().hex[:8]}"
    (tmp_path / "catalog.toml").write_text(CATALOG)
    variables = {**environment(world.settings), "CATALOG_FILE": "catalog.toml"}
    file = tmp_path / "stock.csv"
    lines = [f"{sku},berlin,7,9", f"{sku},paris,3,9"]
    file.write_text("\n".join(["sku,warehouse,on_hand,low_at", *lines, ""]), encoding="utf-8-sig")

    for _ in range(2):
        imported = await run_command(tmp_path, variables, *COMMAND, "import", file.name)
        assert (imported.code, imported.out) == (0, "2 counts recorded\n"), imported.err
        assert await world.stock(sku) == 10
    exported = await run_command(tmp_path, variables, *COMMAND, "export")
    assert [line for line in exported.out.splitlines() if sku in line] == lines

    received = await run_command(
        tmp_path, variables, *COMMAND, "receive", sku, "2", "--warehouse", "paris"
    )
    assert received.code == 0, received.err
    assert await world.stock(sku) == 12
    counted = await run_command(
        tmp_path, variables, *COMMAND, "set", sku, "4", "--warehouse", "berlin", "--low-at", "10"
    )
    assert counted.code == 0, counted.err
    shown = await run_command(tmp_path, variables, *COMMAND, "show")
    [berlin, paris] = [line.split() for line in shown.out.splitlines() if sku in line]
    assert [word for word in berlin if word.isalnum()] == ["berlin", "4", "10"]
    assert "(low)" in berlin
    assert [word for word in paris if word.isalnum()] == ["paris", "5", "10"]
    alone = await run_command(tmp_path, environment(world.settings), *COMMAND, "show")
    [row, _] = [line for line in alone.out.splitlines() if sku in line]
    assert "berlin (not in catalog.toml: ships nothing)" in row


async def test_what_is_recorded_is_kept_if_asked_to(world: World, tmp_path: Path) -> None:
    sku, new = await world.new_sku(on_hand=7), f"SKU-{uuid4().hex[:8]}"
    command = (*COMMAND, "set", sku, "100", new, "100", "--if-missing")
    done = await run_command(tmp_path, environment(world.settings), *command)
    assert done.code == 0, done.err
    assert (await world.stock(sku), await world.stock(new)) == (7, 100)


async def test_a_file_with_a_mistake_changes_nothing(world: World, tmp_path: Path) -> None:
    sku = await world.new_sku(on_hand=7)
    (tmp_path / "stock.csv").write_text(f"sku,on_hand\n{sku},1\n{sku},x\n")
    refused = await run_command(
        tmp_path, environment(world.settings), *COMMAND, "import", "stock.csv"
    )
    assert refused.code == 1
    assert f"stock.csv: line 3: {sku} in main was counted on an earlier line" in refused.err
    assert "nothing is imported" in refused.err
    assert await world.stock(sku) == 7


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("set", "MUG"), "give pairs of a SKU and a number of pieces"),
        (("receive", "MUG", "1", "--warehouse", "rome"), "there is no warehouse rome"),
    ],
)
async def test_a_command_line_that_makes_no_sense_is_refused(
    world: World, tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    refused = await run_command(tmp_path, environment(world.settings), *COMMAND, *words)
    assert refused.code == 2
    assert problem in refused.err
