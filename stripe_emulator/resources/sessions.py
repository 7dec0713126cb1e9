"""Checkout Sessions over the API. See "Checkout Sessions" in Stripe's API reference."""

from collections.abc import Iterator

from ..checkout.completion import expire as expire_session
from ..checkout.line_items import list_page
from ..checkout.sessions import new_session
from ..errors import invalid
from ..operations import Call, operation
from ..paging import in_range, page
from ..store import StripeObject
from .common import merge_metadata


@operation("POST /v1/checkout/sessions")
def create(call: Call) -> StripeObject:
    """Create an open session."""
    return new_session(call, call.params)


@operation("GET /v1/checkout/sessions/{session}")
def retrieve(call: Call) -> StripeObject:
    """The session of this ID."""
    return call.target("checkout.session", "session")


@operation("POST /v1/checkout/sessions/{session}")
def modify(call: Call) -> StripeObject:
    """Change the session's metadata.

    Raises:
        StripeError: For the rest of what Stripe can change, so that nothing is lost silently.
    """
    session = retrieve(call)
    for name in call.params:
        if name not in {"metadata", "expand"}:
            raise invalid(f"This stand-in cannot change `{name}` of a session", name)
    if "metadata" in call.params:
        merge_metadata(session, call.params["metadata"])
    return session


@operation("GET /v1/checkout/sessions/{session}/line_items")
def list_line_items(call: Call) -> StripeObject:
    """The session's line items in their order."""
    session = retrieve(call)
    return list_page(call, session, f"/v1/checkout/sessions/{session['id']}/line_items")


@operation("POST /v1/checkout/sessions/{session}/expire")
def expire(call: Call) -> StripeObject:
    """End an open session."""
    return expire_session(call.emulator, call.account, retrieve(call))


def _candidates(call: Call) -> Iterator[StripeObject]:
    """The sessions to look through: one at most when an intent is asked for."""
    if "payment_intent" not in call.params:
        return call.account.newest_first("checkout.session")
    intent = call.account.find(call.params["payment_intent"]) or {}
    session = call.account.find(intent.get("_session") or "")
    return iter([session] if session is not None else [])


@operation("GET /v1/checkout/sessions")
def list_all(call: Call) -> StripeObject:
    """Sessions, the newest first."""
    params = call.params
    same = ("customer", "payment_intent", "payment_link", "status", "subscription")
    wanted = {name: params[name] for name in same if name in params}
    email = params.get("customer_details", {}).get("email")
    found = (
        session
        for session in _candidates(call)
        if all(session[name] == value for name, value in wanted.items())
        and in_range(session["created"], params.get("created"))
        and (email is None or (session["customer_details"] or {}).get("email") == email)
    )
    return page(call.account, found, params, "/v1/checkout/sessions")
