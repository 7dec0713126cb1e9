"""Installs the example package as a merchant would, but into a folder of the test's own."""

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "example_kind"
UV = Path(sys.executable).with_name("uv")
GIFT_CARD = {"fulfillment": "gift_card", "gift_card_prefix": "XMAS"}


def install_example_kind(folder: Path) -> None:
    """Builds and installs it; uv brings the build backend, so that no network is needed."""
    target = ("--python", sys.executable, "--target", folder, PACKAGE)
    subprocess.run(
        (UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-cache", *target),
        check=True,
    )
