"""The image's files without an image: what the Dockerfile copies, laid out in a folder."""

import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_LINES = (ROOT / "Dockerfile").read_text().replace("\\\n", "").splitlines()


@dataclass(frozen=True)
class Image:
    """A folder that holds what an image has of ours."""

    root: Path

    @property
    def app(self) -> Path:
        """The image's working directory."""
        return self.root / "app"

    @property
    def environment(self) -> dict[str, str]:
        """As the Dockerfile sets it; Python runs without what the virtualenv knows of us."""
        return {
            "PATH": f"{self.root}/usr/local/bin:{self.root}/venv/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{self.app}:{sysconfig.get_path('purelib')}",
            "PYTHONUNBUFFERED": "1",
        }


def copied(stage: str) -> list[tuple[list[str], str]]:
    """What a stage and those below it copy from the repository: sources, and where to."""
    stages: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in _LINES:
        words = line.split()
        if words[:1] == ["FROM"]:
            name = words[3] if len(words) == 4 else ""
            stages[name] = (words[1], [])
        elif words[:1] == ["COPY"] and not words[1].startswith("--from"):
            stages[name][1].append(line)
    lines: list[str] = []
    while stage in stages:
        base, own = stages[stage]
        lines = own + lines
        stage = base
    return [(words[1:-1], words[-1]) for words in map(str.split, lines)]


def lay_out(stage: str, folder: Path) -> Image:
    """Lays out what a stage of the Dockerfile copies."""
    image = Image(folder)
    image.app.mkdir(parents=True)
    for sources, target in copied(stage):
        to = folder / target.lstrip("/") if target.startswith("/") else image.app / target
        for source in sources:
            if (ROOT / source).is_dir():
                unwanted = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, to, ignore=unwanted)
            else:
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, to)
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # Without `site`, which would find the repository itself, as it is installed there.
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    return image
