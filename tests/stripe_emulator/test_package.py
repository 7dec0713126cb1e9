"""The package stands on its own, and its README says what is so."""

import ast
import asyncio
import re
import sys
from pathlib import Path

import httpx
import pytest

from local.blueprint import EMULATOR_KEY, ROOT
from stripe_emulator.resources.table import OPERATIONS

from .conftest import API_KEY, Control, Inbox, Shop, free_port

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


async def test_the_commands_in_the_main_readme_do_the_same_with_curl(
    base_url: str, control: Control, shop: Shop
) -> None:
    [code] = re.findall(r"```sh\n(api=.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    at, _, rest = code.partition("#")
    assert at.split() == ["api=http://127.0.0.1:12111", f"key={EMULATOR_KEY}"]
    commands = f"set -e\napi={base_url} key={API_KEY} #{rest}".replace("price_…", shop.price())
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", commands, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, errors.decode()
    urls = re.findall(r'^  "url": "(http\S+)"', output.decode(), re.MULTILINE)
    assert len(urls) == 2, output.decode()
    for url in urls:
        page = await control.http.get(url, follow_redirects=True)
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


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stripe_emulator", *arguments, stderr=asyncio.subprocess.PIPE
    )


async def test_it_starts_from_the_command_line_and_stops_when_told(tmp_path: Path) -> None:
    port = str(free_port())
    snapshot = tmp_path / "state.json"
    flags = {
        "--host": "127.0.0.1",
        "--port": port,
        "--api-key": API_KEY,
        "--webhook-url": "http://127.0.0.1:9/webhook",
        "--webhook-secret": "whsec_x",
        "--success-url": "http://127.0.0.1:9/a?session_id={CHECKOUT_SESSION_ID}",
        "--cancel-url": "http://127.0.0.1:9/b",
        "--snapshot": str(snapshot),
        "--time-scale": "5",
        "--public-url": f"http://localhost:{port}",
    }
    process = await start(*(part for flag in flags.items() for part in flag))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(API_KEY, "")) as http:
        for _ in range(200):
            try:
                assert (await http.get("/healthz")).status_code == 200
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
        [endpoint] = (await http.get("/v1/webhook_endpoints")).json()["data"]
        assert endpoint["url"] == "http://127.0.0.1:9/webhook"
        shop = await http.get("/")
        price = re.search(r"price_\w+", shop.text)
        assert price is not None
        bought = await http.post("/shop/buy", data={"price": price[0]})
        assert bought.headers["location"].startswith(f"http://localhost:{port}/c/pay/cs_test_")
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)
    assert "cs_test_" in snapshot.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--host must be a loopback address"),  # noqa: S104 - refused
        (["--api-key", "sk_live_1"], "must be a test key"),
    ],
)
async def test_what_is_unsafe_is_refused_at_the_start(arguments: list[str], message: str) -> None:
    process = await start(*arguments)
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 1
    assert message in errors.decode()
