"""Stripe's own command line, run against the local Stripe and cut off from everything else.

`python -m local.stripe_cli trigger checkout.session.completed`, or `make stripe ARGS="…"`,
beside a running `make up`. The arguments are the CLI's own.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from local.blueprint import EMULATOR_KEY, ROOT
from local.ports import LOCALHOST
from settings import LocalSettings, load

INSTALLED = ROOT / ".local/stripe-cli/node_modules/.bin/stripe"
"""Where `make stripe-cli` puts it."""
MISSING = (
    "Stripe's CLI is not there: `make stripe-cli` installs it (that needs npm), or name one"
    " in STRIPE_CLI."
)
NOWHERE = "http://127.0.0.1:9"
"""A proxy that nothing listens at: what goes there goes nowhere."""


@dataclass(frozen=True, kw_only=True)
class StripeCli:
    """The CLI with a configuration of its own and no way to the network.

    Attributes:
        binary: the program.
        base_url: the local Stripe, by address: the CLI trusts no other name with plain http.
        api_key: the key that it sends.
        home: the folder for whatever it writes.
    """

    binary: str
    base_url: str
    api_key: str
    home: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line for the CLI's arguments."""
        return [self.binary, *arguments, "--api-base", self.base_url]

    def environment(self) -> dict[str, str]:
        """All that the CLI sees of the environment."""
        kept = {name: os.environ[name] for name in ("PATH", "TERM") if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "STRIPE_API_KEY": self.api_key,
            "STRIPE_DEVICE_NAME": "local",
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": f"{LOCALHOST},localhost",
        }


def find_cli(named: Path | None) -> str | None:
    """The CLI named by the setting, on the PATH, or installed here; None when it is nowhere."""
    if named is not None:
        return shutil.which(str(named))
    return shutil.which("stripe") or shutil.which(str(INSTALLED))


def main() -> None:
    """Becomes the CLI, so that its exit code and Ctrl-C are its own."""
    settings = load(LocalSettings)
    binary = find_cli(settings.stripe_cli)
    if binary is None:
        sys.exit(MISSING)
    cli = StripeCli(
        binary=binary,
        base_url=f"http://{LOCALHOST}:{settings.stripe_emulator_port}",
        api_key=EMULATOR_KEY,
        home=(settings.data_dir / "stripe-cli" / "home").resolve(),
    )
    if not _answers(cli.base_url):
        sys.exit(
            f"No local Stripe answers at {cli.base_url}: start it with `make up`, or say where"
            " it is with STRIPE_EMULATOR_PORT."
        )
    cli.home.mkdir(parents=True, exist_ok=True)
    os.execve(binary, cli.command(sys.argv[1:]), cli.environment())  # noqa: S606 - no shell


def _answers(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/healthz", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
