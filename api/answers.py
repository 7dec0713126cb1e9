"""`/answer?token=…`: where a customer answers what a mail has asked.

The signed token is all the authority there is: no cookie is read, so no other site can answer
in the customer's name. To open the link changes nothing, since mail scanners open links too.
What is answered is recorded first; the order's workflow is told of it, and would look by itself.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from babel import Locale
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.contextvars import bind_contextvars

from api.address_form import country_names, read_address
from api.bodies import read_body
from api.pages import HEADERS, locale_for, page
from api.responses import Responses
from api.services import Services, ServicesOf
from database.backorders import is_queued
from database.order_view import read_order
from database.orders import lock_order
from database.questions import (
    NEW_ADDRESS,
    NO_ANSWER,
    WITHDRAWN,
    AskedQuestion,
    choose,
    give_address,
    read_questions,
)
from domain.catalog import SHIPPING_COUNTRIES
from domain.errors import InvalidWebhookError, TransientError
from domain.formats import format_day
from domain.ids import FulfillmentRef
from domain.links import LinkInvalidError
from domain.orders import Order, OrderLine, Question, StockAnswer

logger = logging.getLogger(__name__)
router = APIRouter(tags=["Landing page"])
_NOT_ASKED: Responses = {404: {"description": "There is no such question"}}

MAX_FIELDS = 20
_NO_COUNTRY = frozenset({"ZZ"})
"""Stripe's sign for a country that it does not know."""


@dataclass(frozen=True)
class _Asked:
    """A question that was put to a customer.

    Attributes:
        token: What its link carries.
        is_queued: Whether what it is about waits for stock.
    """

    token: str
    ref: FulfillmentRef
    name: Question
    question: AskedQuestion
    order: Order
    line: OrderLine
    is_queued: bool


@router.get("/answer", response_class=HTMLResponse, responses=_NOT_ASKED)
async def show_question(request: Request, services: ServicesOf, token: str = "") -> Response:
    """Asks the customer, or tells what was answered."""
    asked = await _read(request, services, token)
    return _question_page(request, services, asked) if isinstance(asked, _Asked) else asked


@router.post(
    "/answer",
    response_class=HTMLResponse,
    responses={
        **_NOT_ASKED,
        303: {"description": "Recorded: the question's page says so"},
        400: {"description": "The form cannot be read"},
        422: {"description": "The form again, and what is wrong in it"},
    },
)
async def take_answer(request: Request, services: ServicesOf) -> Response:
    """Records the customer's answer; the first one counts."""
    try:
        body = (await read_body(request)).decode()
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except (InvalidWebhookError, ValueError):
        return page(request, "not_found", status=400)
    asked = await _read(request, services, fields.pop("token", ""))
    if not isinstance(asked, _Asked):
        return asked
    if asked.name is Question.OUT_OF_STOCK:
        if fields.get("choice") not in set(StockAnswer):
            return _question_page(request, services, asked)
        is_new = await _choose(services, asked, StockAnswer(fields["choice"]))
    else:
        address, problems = read_address(fields, _countries(services, asked.order))
        if address is None:
            return _address_page(request, services, asked, fields, problems)
        async with services.database.transaction() as connection:
            await lock_order(connection, asked.ref.session_id)
            is_new = await give_address(
                connection, asked.ref, address.address, address.phone or None
            )
    if is_new:
        logger.info("order %s: %s is answered", asked.ref.session_id, asked.name)
        await _wake(services, asked)
    # Who reloads the page after it sends no form again.
    return RedirectResponse(f"/answer?token={asked.token}", status_code=303, headers=HEADERS)


async def _choose(services: Services, asked: _Asked, choice: StockAnswer) -> bool:
    async with services.database.transaction() as connection:
        return await choose(connection, asked.ref, choice)


async def _wake(services: Services, asked: _Asked) -> None:
    ref = asked.ref
    try:
        await services.fulfillments.wake(ref.session_id, ref.step, account=asked.order.account)
    except TransientError as error:
        logger.warning("order %s will look by itself: %s", ref.session_id, error.message)


async def _read(request: Request, services: Services, token: str) -> _Asked | HTMLResponse:
    """What a link asks, or the page that says why it asks nothing."""
    try:
        read = services.links.read_answer(token)
    except LinkInvalidError:
        return page(request, "not_found", status=404)
    bind_contextvars(session_id=read.ref.session_id)
    async with services.database.transaction() as connection:
        asked = await _find(connection, token, read.ref, read.question)
    if asked is None:
        return page(request, "not_found", status=404)
    if asked.question.answer == WITHDRAWN:
        locale = locale_for(request, asked.order.locale)
        return page(request, "link_over", status=410, locale=locale)
    return asked


async def _find(
    connection: AsyncConnection, token: str, ref: FulfillmentRef, name: Question
) -> _Asked | None:
    question = (await read_questions(connection, ref)).get(name)
    order = await read_order(connection, ref.session_id)
    if question is None or order is None:
        return None
    return _Asked(
        token=token,
        ref=ref,
        name=name,
        question=question,
        order=order,
        line=next(line for line in order.lines if line.id == ref.line_item_id),
        is_queued=await is_queued(connection, ref),
    )


def _question_page(request: Request, services: Services, asked: _Asked) -> HTMLResponse:
    if asked.name is Question.OUT_OF_STOCK:
        locale = locale_for(request, asked.order.locale)
        return page(
            request,
            "answer_out_of_stock",
            has_form=True,
            locale=locale,
            asked=asked,
            default_day=_default_day(asked, locale),
        )
    country = asked.order.shipping_address.country if asked.order.shipping_address else None
    return _address_page(request, services, asked, {"country": country or ""}, ())


def _address_page(
    request: Request,
    services: Services,
    asked: _Asked,
    entered: Mapping[str, str],
    problems: Sequence[str],
) -> HTMLResponse:
    locale = locale_for(request, asked.order.locale)
    return page(
        request,
        "answer_address",
        status=422 if problems else 200,
        has_form=True,
        locale=locale,
        asked=asked,
        default_day=_default_day(asked, locale),
        is_given=asked.question.answer == NEW_ADDRESS,
        is_late=asked.question.answer == NO_ANSWER,
        entered=entered,
        problems=problems,
        countries=country_names(_countries(services, asked.order), locale),
    )


def _default_day(asked: _Asked, locale: Locale) -> str | None:
    default_at = asked.question.default_at
    return format_day(default_at, locale) if default_at else None


def _countries(services: Services, order: Order) -> frozenset[str]:
    """Where an order may go: where the shop ships to, and where it was to go in any case."""
    offered = services.catalog.checkout.shipping_countries or SHIPPING_COUNTRIES
    own = order.shipping_address.country if order.shipping_address else None
    return (frozenset(offered) | ({own} if own else frozenset())) - _NO_COUNTRY
