"""The package stands on its own, and its README says what is so."""

import ast
import re
import sys
from pathlib import Path

import httpx
import pytest

from stripe_emulator.resources.table import OPERATIONS

from .conftest import API_KEY, Control, Inbox

PACKAGE = Path(__file__).parents[2] / "stripe_emulator"
README = (PACKAGE / "README.md").read_text("utf-8")
ALLOWED = {"starlette", "fastapi", "uvicorn", "jinja2", "httpx", "websockets", "stripe_emulator"}


def test_it_imports_nothing_of_the_project_and_no_stripe_sdk() -> None:
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) <= ALLOWED


def test_every_operation_is_listed_once() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))


async def test_the_code_in_the_readme_makes_pages_to_pay_on(
    base_url: str, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = code.replace("http://127.0.0.1:12111", base_url).replace(
        "sk_test_local0123456789", API_KEY
    )
    exec(code, {})  # noqa: S102 - our own README
    session_url, link_url = capsys.readouterr().out.split()
    for url in (session_url, link_url):
        page = await control.http.get(url, follow_redirects=True)
        assert page.status_code == 200
        assert "$20.00" in page.text


async def test_every_control_in_the_readme_exists(control: Control, inbox: Inbox) -> None:
    assert inbox is not None
    rows = re.findall(r"^\| `(\w+)(?:`, `(\w+))? (/_emulator/\S+?)`(.*?) \|", README, re.MULTILINE)
    assert len(rows) > 12
    for method, other, path, more in rows:
        base = path.rpartition("/")[0]
        paths = [path, *(base + extra for extra in re.findall(r"`(/\w+)`", more))]
        for each in paths:
            for verb in filter(None, (method, other)):
                answer = await control.http.request(verb, each.replace("{id}", "none"))
                assert answer.status_code in {200, 400, 404}, (verb, each)
                assert answer.headers["content-type"] == "application/json", (verb, each)


async def test_health_is_answered_without_a_key(base_url: str) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{base_url}/healthz")).status_code == 200
