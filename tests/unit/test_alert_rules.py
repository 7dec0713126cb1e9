"""The alert rules, tried by Prometheus' own tool."""

import shutil
import subprocess
from pathlib import Path

import pytest

MONITORING = Path(__file__).parent.parent.parent / "monitoring"
PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not there: Debian has it in `prometheus`")
@pytest.mark.parametrize(
    "check",
    [
        ("test", "rules", "alert-rules.test.yaml"),
        ("check", "config", "prometheus.yaml"),
    ],
)
def test_rules_speak_when_they_should_and_only_then(check: tuple[str, ...]) -> None:
    told = subprocess.run(
        [str(PROMTOOL), *check], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_each_rule_is_tried() -> None:
    rules = (MONITORING / "alert-rules.yaml").read_text()
    tried = (MONITORING / "alert-rules.test.yaml").read_text()
    names = [line.split(": ")[1] for line in rules.splitlines() if "- alert: " in line]
    assert names
    assert [name for name in names if tried.count(f"alertname: {name}") != 2] == []
