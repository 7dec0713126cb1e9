"""What the pages that customers see have in common: templates, headers, language, branding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from babel import Locale, negotiate_locale
from babel.support import NullTranslations
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from api.services import Services, ServicesOf
from domain.colors import on, on_white
from domain.formats import FALLBACK_LOCALE, parse_locale
from domain.ids import is_account_id, is_checkout_session_id, is_livemode_session
from emails.languages import read_translations

router = APIRouter(tags=["Landing page"])

REFRESH_S = 5
"""After how long a page with something still to come loads itself again."""
TOO_MANY_S = 60
"""When somebody who asked for too many pages may ask again."""
BRAND_FOR_S = 300
"""For how long browsers keep the shop's color."""

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
_FOLDER = Path(__file__).parent


def _environment(translations: NullTranslations) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=select_autoescape(["html"]),
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    return environment


_environments = {
    language: _environment(translations)
    for language, translations in read_translations(_FOLDER / "translations").items()
}


def could_be_ours(session_id: str, account: str | None, services: Services) -> bool:
    """Whether what a URL says may name a session of ours; Stripe is not asked."""
    return (
        is_checkout_session_id(session_id)
        and is_livemode_session(session_id) == services.livemode
        and (account is None or is_account_id(account))
        and services.is_ours(account)
    )


def locale_for(request: Request, checkout_locale: str | None = None) -> Locale:
    """How a customer reads a page: as in Checkout, else as the browser says, else as the shop.

    Args:
        request: The browser's.
        checkout_locale: The Checkout Session's `locale`; `auto` or None where none was chosen.
    """
    services = cast("Services", request.app.state.services)
    accepted = [
        part.partition(";")[0].strip()
        for part in request.headers.get("Accept-Language", "").split(",")
    ]
    for name in (checkout_locale, *accepted, services.shop_language):
        locale = parse_locale(name)
        if locale is not None and negotiate_locale([locale.language], list(_environments)):
            return locale
    return FALLBACK_LOCALE


def render(name: str, locale: Locale, values: Mapping[str, Any]) -> str:
    """Fills in a template in a language that there is."""
    return _environments[locale.language].get_template(f"{name}.html").render(values)


def page(
    request: Request,
    name: str,
    *,
    status: int = 200,
    has_form: bool = False,
    embeddable: bool = False,
    locale: Locale | None = None,
    **values: Any,  # noqa: ANN401 - a template's values
) -> HTMLResponse:
    """Renders a template as a page that no cache keeps and no other site is told of.

    Args:
        request: The browser's.
        name: The template's.
        status: HTTP's.
        has_form: Whether the page sends a form to us.
        embeddable: Whether the merchant's own sites may frame it, and it comes without the shop's
            name.
        locale: Its language; by default the browser's or the shop's, see `locale_for`.
        **values: What the template shows.
    """
    services = cast("Services", request.app.state.services)
    locale = locale or locale_for(request)
    content = render(
        name,
        locale,
        {
            "refresh_s": None,
            "lang": str(locale).replace("_", "-"),
            "shop": None if embeddable else services.branding,
            **values,
        },
    )
    headers = {**HEADERS, "Content-Security-Policy": _policy(services, has_form, embeddable)}
    return HTMLResponse(content, status, headers)


def _policy(services: Services, has_form: bool, embeddable: bool) -> str:  # noqa: FBT001 - both are named by `page`
    logo = urlsplit(services.branding.logo_url)
    sources: Mapping[str, str] = {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"{logo.scheme}://{logo.netloc}" if logo.netloc else "'none'",
        "base-uri": "'none'",
        "form-action": "'self'" if has_form else "'none'",
        "frame-ancestors": " ".join(services.embed_origins if embeddable else ()) or "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())


@router.get("/brand.css", include_in_schema=False)
async def brand(services: ServicesOf) -> Response:
    """The shop's color: inline styles are forbidden to our pages."""
    color = services.branding.color
    css = f":root {{ --brand: {color}; --on-brand: {on(color)}; --accent: {on_white(color)}; }}\n"
    headers = {"Cache-Control": f"max-age={BRAND_FOR_S}"}
    return Response(css, media_type="text/css", headers=headers)
