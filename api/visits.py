"""Who may see what of an order's page: its URL alone is a bearer token that mails and logs keep.

For a while after Checkout the session ID is enough, since that is all the customer comes with.
The first visit leaves a signed cookie, and the links in mails are signed: with one of these the
page stays whole. Everybody else gets a short one, that the order is known and how it stands.

Visits are counted per address, so that nobody tries out IDs.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from fastapi import Request, Response
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from domain.links import Links
from domain.orders import Order

WHOLE_FOR = timedelta(hours=48)
"""For so long after Checkout was opened the session ID shows all: a session lives for a day."""
COOKIE_FOR = timedelta(days=90)
PATH = "/after-checkout"
_IPV6_HOUSEHOLD = 64
"""Bits of an IPv6 address that tell one household from another."""


class TooManyVisitsError(Exception):
    """One address asks for more pages than customers do."""


class VisitLimit:
    """Counts visits per address, in this process.

    Args:
        per_minute: How many each may make; 0 for as many as it likes.
    """

    def __init__(self, per_minute: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(per_minute) if per_minute else None

    async def count(self, request: Request) -> None:
        """Counts one visit.

        Raises:
            TooManyVisitsError: It is one too many.
        """
        if self._rate is not None and not await self._limiter.hit(self._rate, _visitor(request)):
            raise TooManyVisitsError


def may_see_all(request: Request, links: Links, order: Order, token: str | None) -> bool:
    """Whether a visitor gets the whole page, by link, cookie, or because Checkout was just now."""
    signed = (token, request.cookies.get(_cookie_name(order.session_id)))
    return datetime.now(UTC) < order.created_at + WHOLE_FOR or any(
        links.shows_order(each, order.session_id) for each in signed if each
    )


def remember(response: Response, links: Links, order: Order, *, secure: bool) -> None:
    """Leaves the cookie by which the same browser sees the whole page later."""
    response.set_cookie(
        _cookie_name(order.session_id),
        links.order_token(order.session_id),
        max_age=int(COOKIE_FOR.total_seconds()),
        path=PATH,
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def _cookie_name(session_id: str) -> str:
    return f"order-{hashlib.sha256(session_id.encode()).hexdigest()[:16]}"


def _visitor(request: Request) -> str:
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_HOUSEHOLD), strict=False))
    return host
