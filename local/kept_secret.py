"""Secrets that this machine makes up once and keeps."""

import secrets
from base64 import b64encode
from pathlib import Path


def kept_webhook_secret(file: Path) -> str:
    """A secret of the Standard Webhooks' form, kept as `kept_secret` keeps its own."""
    return f"whsec_{b64encode(bytes.fromhex(kept_secret(file))).decode()}"


def kept_secret(file: Path) -> str:
    """The secret in the file, which only its owner may read; made when there is none."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text()
