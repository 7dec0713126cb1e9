"""Renders the HTML templates; everything in them is escaped."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ..money import display


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stripe_emulator"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["money"] = display
    return environment


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    """A page from a template in `templates/`."""
    text = _environment().get_template(template).render(**values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
