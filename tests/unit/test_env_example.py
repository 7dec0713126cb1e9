""".env.example names every setting, and none that does not exist."""

import re
from pathlib import Path

from settings import LocalSettings, Settings

ROOT = Path(__file__).parent.parent.parent


def test_env_example_names_every_setting() -> None:
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))
    fields = {*Settings.model_fields, *LocalSettings.model_fields}
    assert named == {name.upper() for name in fields}
