"""Where browsers reach the emulator."""

from starlette.requests import Request

from .config import EmulatorConfig


def base_url(config: EmulatorConfig, request: Request) -> str:
    """The configured public URL, or that of the request; without a trailing slash."""
    return (config.public_url or str(request.base_url)).rstrip("/")
