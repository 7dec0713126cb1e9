"""Secrets that this machine makes up once and keeps."""

import secrets
from pathlib import Path


def kept_secret(file: Path) -> str:
    """The secret in the file, which only its owner may read; made when there is none."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text()
