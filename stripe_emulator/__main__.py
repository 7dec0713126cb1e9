"""`python -m stripe_emulator`: serve one emulator on this machine."""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Final

import uvicorn

from .app import create_app
from .config import EmulatorConfig

KEEP_ALIVE_S: Final = 75
"""Longer than clients keep a connection that rests (httpx, which the SDK may use, 5 seconds): one
that is closed just as it is used again fails that request."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stripe_emulator", description="A local, stateful stand-in for Stripe."
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument(
        "--trust-network",
        action="store_true",
        help="listen on any address: whoever reaches it may do everything, as in a container",
    )
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--api-key", help="the secret key to accept; any test key without it")
    parser.add_argument("--webhook-url", help="an endpoint to register for all events")
    parser.add_argument("--webhook-secret", help="its signing secret, whsec_…")
    parser.add_argument("--success-url", help="where the sample shop's customers land")
    parser.add_argument("--cancel-url", help="where they land when they turn back")
    parser.add_argument("--service-url", help="what fulfills the sample shop's registration")
    parser.add_argument("--snapshot", type=Path, help="a file that keeps the state")
    parser.add_argument("--time-scale", type=float, default=1.0, help="10: ten times faster")
    parser.add_argument("--public-url", help="where browsers reach this server")
    return parser.parse_args()


def main() -> None:
    """Read the command line and serve until stopped."""
    arguments = vars(_arguments())
    host, port = arguments.pop("host"), arguments.pop("port")
    if not arguments.pop("trust_network") and host not in {"127.0.0.1", "localhost", "::1"}:
        sys.exit("stripe_emulator: --host must be a loopback address: it has no access control")
    try:
        config = EmulatorConfig(**arguments)
    except ValueError as error:
        sys.exit(f"stripe_emulator: {error}")
    uvicorn.run(
        create_app(config),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        # Only Stripe's CLI (`stripe listen`) wants it.
        ws="websockets-sansio" if importlib.util.find_spec("websockets") else "none",
    )


if __name__ == "__main__":
    main()
