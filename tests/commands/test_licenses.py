"""`fulfillment licenses`, run as a program."""

from pathlib import Path
from uuid import uuid4

from tests.commands.programs import environment, run_command
from tests.harness.world import World

COMMAND = ("licenses",)


async def test_importing_twice_is_importing_once(world: World, tmp_path: Path) -> None:
    pool = f"pool-{uuid4().hex[:8]}"
    file = tmp_path / "keys.txt"
    file.write_text(f"{pool}-AAA\n\n {pool}-BBB \n{pool}-AAA\n")
    given = environment(world.settings)
    first = await run_command(tmp_path, given, *COMMAND, "import", pool, str(file))
    assert first.out == "2 keys imported, 0 were known already\n"
    again = await run_command(tmp_path, given, *COMMAND, "import", "another", str(file))
    assert again.out == "0 keys imported, 2 were known already\n"
    shown = await run_command(tmp_path, given, *COMMAND, "show")
    [row] = [line for line in shown.out.splitlines() if pool in line]
    assert row.replace("│", " ").split() == [pool, "2", "0"]
    assert "another" not in shown.out


async def test_a_broken_file_imports_nothing(world: World, tmp_path: Path) -> None:
    pool = f"pool-{uuid4().hex[:8]}"
    file = tmp_path / "keys.txt"
    file.write_text(f"{pool}-AAA\n---\n{pool}aaa\n")
    refused = await run_command(
        tmp_path, environment(world.settings), *COMMAND, "import", pool, str(file)
    )
    assert refused.code == 1
    assert "line 2: a key has letters or digits" in refused.err
    assert "line 3: differs from an earlier key by case or hyphens only" in refused.err
    assert (
        pool not in (await run_command(tmp_path, environment(world.settings), *COMMAND, "show")).out
    )


async def test_no_pool_has_the_name_of_made_keys(world: World, tmp_path: Path) -> None:
    refused = await run_command(
        tmp_path, environment(world.settings), *COMMAND, "import", "made", "keys.txt"
    )
    assert refused.code == 2
