"""A local, stateful stand-in for Stripe: API, Checkout pages, webhooks, CLI.

It imports nothing of the project around it; see README.md.
"""

from .app import create_app
from .config import EmulatorConfig

__all__ = ["EmulatorConfig", "create_app"]
