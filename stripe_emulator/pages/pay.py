"""The hosted pay page of a session. See "Checkout" and "Customize redirect behavior"."""

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..addresses import base_url
from ..checkout.choices import Choices, choose
from ..checkout.completion import Buyer, complete, needs_method
from ..checkout.line_items import with_prices
from ..checkout.sessions import new_session
from ..emulator import Emulator
from ..errors import StripeError, invalid
from ..ids import now
from ..operations import Call
from ..payments.methods import (
    CARD,
    DELAYED_TYPES,
    billing_details,
    card_of,
    new_bank_debit,
    new_card,
)
from ..resources.common import check_email
from ..resources.payment_links import session_params
from ..store import Account, StripeObject
from .embedded import EMBEDDED
from .templates import page

_PLACEHOLDER: Final = re.compile(r"(?:\{|%7B)CHECKOUT_SESSION_ID(?:\}|%7D)", re.IGNORECASE)
_METHOD_NAMES: Final = {
    "card": "Card",
    "us_bank_account": "US bank account",
    "sepa_debit": "SEPA Direct Debit",
    "bacs_debit": "Bacs Direct Debit",
    "au_becs_debit": "BECS Direct Debit",
    "acss_debit": "Pre-authorized debit",
    "konbini": "Konbini",
}
_TEST_ACCOUNTS: Final = {
    "us_bank_account": ("000123456789", "000222222227", "000999999991"),
    "sepa_debit": ("AT611904300234573201", "AT861904300235473202", "AT321904300235473204"),
    "bacs_debit": ("00012345", "33333335", "00012340"),
    "au_becs_debit": ("000123456789", "000222222227", "000999999991"),
    "acss_debit": ("000123456789", "000222222227", "000999999991"),
    "konbini": ("000123456789", "000222222227", "000999999991"),
}
"""For each method: a number that succeeds soon, one that fails soon, one that waits."""
_CENTURY: Final = 2000
_MONTHS: Final = 12


def landing_url(url: str, session_id: str) -> str:
    """The success URL with the session's ID in place of the placeholder, encoded or not."""
    return _PLACEHOLDER.sub(session_id, url)


class PayPages:
    """The pay page and what comes after paying."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def routes(self) -> list[Route]:
        """The pay page's routes."""
        return [
            Route("/c/pay/{id}", self._show),
            Route("/c/pay/{id}", self._submit, methods=["POST"]),
            Route("/b/{token}", self._visit_link),
        ]

    async def _show(self, request: Request) -> Response:
        try:
            account, session = self._emulator.store.find(
                "checkout.session", request.path_params["id"]
            )
        except StripeError as error:
            return page("message.html", 404, title="Something went wrong", text=str(error))
        if session["status"] == "complete":
            return self._after(request, session)
        if session["status"] == "expired":
            text = "This page has expired. Go back to the shop to start anew."
            return page("message.html", title="Checkout has expired", text=text)
        return self._form(account, session, {}, None)

    async def _submit(self, request: Request) -> Response:
        try:
            account, session = self._emulator.store.find(
                "checkout.session", request.path_params["id"]
            )
        except StripeError as error:
            return page("message.html", 404, title="Something went wrong", text=str(error))
        if session["status"] != "open":
            return await self._show(request)
        form = {name: str(value) for name, value in (await request.form()).items()}
        try:
            choose(account, session, _choices(form))
            if form.get("action") != "pay":
                return self._form(account, session, form, None)
            buyer = _buyer(session, form)
            method = _method(session, form) if needs_method(session) else None
            event = complete(self._emulator, account, session, method, buyer)
        except StripeError as error:
            return self._form(account, session, form, str(error))
        await self._emulator.deliveries.wait_for_answers([event["id"]])
        return self._after(request, session)

    async def _visit_link(self, request: Request) -> Response:
        """A payment link: make a session and go to its pay page."""
        found = self._link_at(request.url.path)
        if found is None:
            return page("message.html", 404, title="Page not found", text="No such payment link.")
        account, link = found
        if not link["active"]:
            text = link["inactive_message"] or "This link is no longer active."
            return page("message.html", title="Link deactivated", text=text)
        shown_at = base_url(self._emulator.config, request)
        call = Call(self._emulator, account, {}, {}, shown_at)
        params = session_params(account, link, dict(request.query_params))
        try:
            session = new_session(call, params, payment_link=link["id"])
        except StripeError as error:
            return page("message.html", error.status, title="Something went wrong", text=str(error))
        code = request.query_params.get("prefilled_promo_code")
        if code:
            with contextlib.suppress(StripeError):  # a wrong code in the URL is no discount
                choose(account, session, Choices(promotion_code=code))
        return RedirectResponse(session["url"], 303)

    def _link_at(self, path: str) -> tuple[Account, StripeObject] | None:
        for account in self._emulator.store.accounts():
            for link in account.newest_first("payment_link"):
                if link["url"].endswith(path):
                    return account, link
        return None

    def _after(self, request: Request, session: StripeObject) -> Response:
        url = landing_url(session["success_url"] or session["return_url"] or "", session["id"])
        if EMBEDDED in request.query_params:
            # The merchant's page around the frame goes there, not the frame.
            title = "Thanks for your payment"
            return page("embedded_done.html", title=title, text="", url=url or None)
        if url:
            return RedirectResponse(url, 303)
        text = "A receipt is on its way."
        if session["payment_link"] is not None:
            _, link = self._emulator.store.find("payment_link", session["payment_link"])
            text = link["after_completion"]["hosted_confirmation"]["custom_message"] or text
        return page("message.html", title="Thanks for your payment", text=text)

    def _form(
        self,
        account: Account,
        session: StripeObject,
        form: Mapping[str, str],
        error: str | None,
    ) -> Response:
        items = with_prices(account, session)
        present = {item["price"]["id"] for item in items}
        optional = [
            (account.get("price", o["price"]), o)
            for o in session["optional_items"] or ()
            if o["price"] not in present
        ]
        optional_prices = {o["price"] for o in session["optional_items"] or ()}
        return page(
            "pay.html",
            402 if error else 200,
            session=session,
            items=items,
            optional=[
                (price, account.get("product", price["product"]), chosen)
                for price, chosen in optional
            ],
            optional_prices=optional_prices,
            products={
                item["price"]["id"]: account.get("product", item["price"]["product"])
                for item in items
            },
            shipping_options=[
                account.get("shipping_rate", option["shipping_rate"])
                for option in session["shipping_options"]
            ],
            method_names=_METHOD_NAMES,
            test_accounts=_TEST_ACCOUNTS,
            form=form,
            error=error,
            needs_method=needs_method(session),
        )


def _choices(form: Mapping[str, str]) -> Choices:
    shipping = form.get("shipping_option")
    return Choices(
        quantities=_numbers(form, "quantity_"),
        optional_items=_numbers(form, "optional_"),
        amounts=_numbers(form, "amount_"),
        promotion_code=form.get("promotion_code") or None,
        shipping_option=_number(shipping) if shipping is not None else None,
    )


def _numbers(form: Mapping[str, str], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): _number(value)
        for name, value in form.items()
        if name.startswith(prefix) and value != ""
    }


def _number(text: str) -> int:
    if not text.isdecimal():
        raise invalid(f"Not a number: {text}")
    return int(text)


def _address(form: Mapping[str, str], prefix: str) -> StripeObject | None:
    names = ("line1", "line2", "city", "state", "postal_code", "country")
    address = {name: form.get(f"{prefix}{name}") or None for name in names}
    return address if any(address.values()) else None


def _buyer(session: StripeObject, form: Mapping[str, str]) -> Buyer:
    shipping = _address(form, "shipping_")
    email = form.get("email") or (session["customer_details"] or {}).get("email")
    if not email:
        raise invalid("Your email is required", "email")
    if form.get("email"):
        check_email(form["email"], "email")
    if session["phone_number_collection"]["enabled"] and not form.get("phone"):
        raise invalid("Your phone number is required", "phone")
    if session["shipping_address_collection"] is not None and not (shipping or {}).get("line1"):
        raise invalid("Your shipping address is required", "shipping")
    return Buyer(
        email=form.get("email"),
        name=form.get("name") or form.get("shipping_name"),
        phone=form.get("phone"),
        address=_address(form, "billing_"),
        shipping_name=form.get("shipping_name"),
        shipping_address=shipping,
        custom_fields={
            name.removeprefix("custom_"): value
            for name, value in form.items()
            if name.startswith("custom_")
        },
    )


def _method(session: StripeObject, form: Mapping[str, str]) -> StripeObject:
    kind = form.get("method", CARD)
    known = session["customer_details"] or {}
    billing = billing_details(
        {
            "email": form.get("email") or known.get("email"),
            "name": form.get("name") or form.get("shipping_name"),
            "phone": form.get("phone"),
            "address": _address(form, "billing_"),
        }
    )
    if kind in DELAYED_TYPES:
        return new_bank_debit(kind, billing, form.get(f"account_{kind}", "").replace(" ", ""))
    card = card_of(form.get("card_number", ""))
    month, _, year = form.get("expiry", "").replace(" ", "").partition("/")
    if not (month.isdecimal() and year.isdecimal()):
        raise invalid("Your card's expiration date is incomplete", "expiry")
    if not 1 <= int(month) <= _MONTHS:
        raise invalid("Your card's expiration month is invalid", "expiry", "invalid_expiry_month")
    full_year = int(year) if len(year) == 4 else _CENTURY + int(year)  # noqa: PLR2004
    today = datetime.fromtimestamp(now(), UTC)
    if (full_year, int(month)) < (today.year, today.month):
        raise invalid("Your card's expiration date is in the past", "expiry", "invalid_expiry_year")
    return new_card(card, billing, int(month), full_year)
