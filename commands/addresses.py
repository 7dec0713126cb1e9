"""Where Stripe and customers reach this service, and whether they can."""

import ipaddress
from urllib.parse import urlsplit

from settings import LOOPBACK_HOSTS, Settings


def webhook_url(settings: Settings) -> str:
    """Where Stripe sends events."""
    return f"{settings.public_url}/webhook"


def landing_url(settings: Settings) -> str:
    """Where Checkout sends the customer; Stripe fills in the session's ID."""
    return f"{settings.public_url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"


def is_private(url: str) -> bool:
    """Whether nobody outside this machine or its network reaches the URL."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))


def uses_stand_in(settings: Settings) -> bool:
    """Whether a local stand-in is asked instead of Stripe."""
    return urlsplit(settings.stripe_api_base).hostname in LOOPBACK_HOSTS


def stripe_cannot_deliver(settings: Settings) -> bool:
    """Whether Stripe itself would have to reach an address that it cannot reach."""
    return is_private(settings.public_url) and not uses_stand_in(settings)


def listen_command(settings: Settings) -> str:
    """The Stripe CLI's command that brings events to an address that Stripe cannot reach."""
    return f"stripe listen --forward-to {webhook_url(settings)}"
