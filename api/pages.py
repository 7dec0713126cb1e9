"""What the pages that customers see have in common: templates, headers, whose session it is."""

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from api.services import Services
from domain.ids import is_account_id, is_checkout_session_id, is_livemode_session

REFRESH_S = 5
"""After how long a page with something still to come loads itself again."""

HEADERS = {
    # The URL is a bearer token: no cache keeps it, no other site is told of it.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_FORM_HEADERS = {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "form-action 'none'", "form-action 'self'"
    )
}
templates = Jinja2Templates(Path(__file__).parent / "templates")


def could_be_ours(session_id: str, account: str | None, services: Services) -> bool:
    """Whether what a URL says may name a session of ours; Stripe is not asked."""
    return (
        is_checkout_session_id(session_id)
        and is_livemode_session(session_id) == services.livemode
        and (account is None or is_account_id(account))
        and services.is_ours(account)
    )


def page(
    request: Request,
    name: str,
    *,
    status: int = 200,
    has_form: bool = False,
    **values: Any,  # noqa: ANN401 - a template's values
) -> HTMLResponse:
    """Renders a template as a page that no cache keeps and no other site is told of."""
    headers = {**HEADERS, **_FORM_HEADERS} if has_form else HEADERS
    return templates.TemplateResponse(
        request,
        f"{name}.html",
        {"refresh_s": None, **values},
        status_code=status,
        headers=headers,
    )
